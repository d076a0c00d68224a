// The page of one run. It shows what the kernel sends and tells it what a person does; of the run it computes nothing.

const BUTTONS = [["pause", "❚❚", "Pause"], ["step", "▸❚", "Step"], ["stop", "■", "Stop"]];
const SVG = "http://www.w3.org/2000/svg";
const QUIET = 8; // seconds; the kernel sends a beat every two

const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};

const brief = (value) => (value == null ? "–" : Math.abs(value) < 10 ? value.toFixed(3) : value.toPrecision(4));

function bytes(count) {
  for (const unit of ["B", "kB", "MB"]) {
    if (count < 1000) return `${count >= 100 || unit === "B" ? count.toFixed(0) : count.toFixed(1)} ${unit}`;
    count /= 1000;
  }
  return `${count.toFixed(1)} GB`;
}

// Settings that are multiplied move by factors, in a hundred steps; all others by what one of them is.
const scaleOf = (knob) => (knob.kind === "log" ? [0, 100, 1] : [knob.low, knob.high, knob.kind === "whole" ? 1 : 0.05]);
const toValue = (knob, place) =>
  knob.kind === "log"
    ? Number((knob.low * (knob.high / knob.low) ** (place / 100)).toPrecision(2))
    : Number(Number(place).toFixed(2));
const toPlace = (knob, value) =>
  knob.kind === "log" ? (100 * Math.log(value / knob.low)) / Math.log(knob.high / knob.low) : value;
const spoken = (knob, value) =>
  knob.kind === "share" ? `${Math.round(100 * value)} %` : String(Number(Number(value).toPrecision(3)));

function render({ model, el }) {
  const id = crypto.randomUUID?.() ?? String(Math.random());
  const say = (act, facts = {}) => {
    try {
      model.send({ act, id, ...facts });
    } catch {
      heardAt = -Infinity; // there is no kernel any more, and the page says so
    }
  };
  const place = (name) => el.querySelector(`[data-slot="${name}"]`);
  const rounds = [];
  let scale = null, looked = null, focused = null, sliding = false, wide = 0, heardAt = performance.now();

  el.classList.add("fl", "fl-root", "fl-live");
  // JupyterLab takes single letters and arrows for its own commands unless the focused element itself forbids it.
  el.addEventListener("focusin", (event) => { event.target.dataset.lmSuppressShortcuts = "true"; });
  el.innerHTML = model.get("skeleton");
  const slots = [...el.querySelectorAll("[data-slot]")].map((slot) => slot.dataset.slot)
    .filter((name) => model.get(`slot_${name}`) !== undefined);

  // --- panels: HTML from the kernel; what a person has opened, scrolled to or focused stays so
  const fill = (name) => {
    const slot = place(name), html = model.get(`slot_${name}`);
    const opened = new Set([...slot.querySelectorAll("details[open]")].map((d) => d.dataset.key));
    const scrolled = slot.querySelector(".fl-owners")?.scrollTop ?? 0;
    const held = slot.contains(document.activeElement) ? document.activeElement : null;
    const key = held?.closest("details")?.dataset.key, row = held?.closest("[data-owner]")?.dataset.owner;
    slot.innerHTML = html;
    for (const d of slot.querySelectorAll("details")) if (opened.has(d.dataset.key)) d.open = true;
    if (scrolled) slot.querySelector(".fl-owners").scrollTop = scrolled;
    if (name === "owners") markOwners(slot);
    if (key) [...slot.querySelectorAll("details")].find((d) => d.dataset.key === key)?.querySelector("summary")?.focus();
    if (row != null) slot.querySelector(`[data-owner="${row}"]`)?.focus();
  };

  // --- owners: a row, pressed, draws that owner's own line
  const markOwners = (slot) => {
    for (const line of slot.querySelectorAll("[data-owner]")) {
      line.tabIndex = 0;
      line.setAttribute("aria-current", String(line.dataset.owner === focused));
    }
  };
  const chooseOwner = (event) => {
    const line = event.target.closest?.("[data-owner]");
    if (!line || (event.type === "keydown" && event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    focused = focused === line.dataset.owner ? null : line.dataset.owner;
    markOwners(place("owners"));
    overlay();
  };
  place("owners").addEventListener("click", chooseOwner);
  place("owners").addEventListener("keydown", chooseOwner);

  // --- picture: the kernel's drawing, with a layer of our own for what the pointer asks
  const picture = place("picture").parentElement;
  const drawing = make("div"), tip = make("div", { class: "fl-tip", hidden: true });
  const over = document.createElementNS(SVG, "svg");
  over.setAttribute("class", "fl-over");
  over.setAttribute("aria-hidden", "true");
  picture.append(drawing, over, tip);

  const draw = () => {
    drawing.innerHTML = model.get("picture");
    const svg = drawing.firstElementChild;
    if (!svg) return;
    const [left, right, last, top, floor, low, high] = svg.dataset.scale.split(",").map(Number);
    const box = svg.viewBox.baseVal;
    scale = {
      last, top, floor, width: box.width, height: box.height,
      x: (n) => left + ((right - left) * (n - 0.5)) / last,
      y: (v) => floor - (floor - top) * Math.min(Math.max((v - low) / (high - low), 0), 1),
      round: (x) => Math.round(((x - left) / (right - left)) * last + 0.5),
    };
    over.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
    overlay();
  };

  const mark = (tag, attributes) => {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    over.append(node);
  };
  const overlay = () => {
    over.replaceChildren();
    if (!scale || !rounds.length) return (tip.hidden = true);
    if (focused != null) {
      const line = rounds.filter((r) => r.o?.[focused] != null);
      const path = line.map((r) => `${scale.x(r.n).toFixed(1)},${scale.y(r.o[focused]).toFixed(1)}`).join(" ");
      if (line.length) mark("polyline", { points: path, class: "fl-own" });
    }
    const record = looked == null ? null : rounds.find((r) => r.n === looked);
    if (!record) return (tip.hidden = true);
    const x = scale.x(record.n);
    mark("path", { d: `M${x} ${scale.top - 6}V${scale.height - 34}`, class: "fl-cross" });
    if (record.v != null) mark("circle", { cx: x, cy: scale.y(record.v), r: 5, class: "fl-at" });
    tell(record, x);
  };

  const tell = (r, x) => {
    const lines = [make("b", {}, `Round ${r.n}`)];
    const line = (words, style = "") => lines.push(make("div", { class: style }, words));
    const names = model.get("owners"), metric = model.get("metric");
    if (r.v != null) line(r.s ? `${metric} ${brief(r.v)} ± ${brief(r.s)} (with noise)` : `${metric} ${brief(r.v)}`);
    if (r.p != null) line(`owners' own models ${brief(r.p)}`);
    const own = (r.o ?? []).map((v, i) => [v, names[i]]).filter(([v]) => v != null).sort((a, b) => b[0] - a[0]);
    const shown = own.length > 7 ? [...own.slice(0, 3), null, ...own.slice(-3)] : own;
    for (const entry of shown) {
      if (entry) line(make("bdi", {}, `${entry[1].slice(0, 40)}: ${brief(entry[0])}`), "fl-soft");
      else line(`… ${own.length - 6} between`, "fl-soft");
    }
    line(`${bytes(r.b)} sent · ${r.t.toFixed(2)} s${r.e == null ? "" : ` · ε ${r.e.toFixed(2)}`}`);
    if (r.d.length) line(`dropped out: ${r.d.map((i) => names[i]).join(", ")}`, "fl-maybe");
    if (r.c) line(r.c, "fl-maybe");
    if (r.f) line(r.f, "fl-bad");
    tip.replaceChildren(...lines);
    tip.hidden = false;
    const share = x / scale.width, room = picture.clientWidth - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(room, share * picture.clientWidth + (share > 0.5 ? -tip.offsetWidth - 14 : 14)))}px`;
  };

  const look = (n) => {
    looked = n == null || !rounds.length ? null : Math.min(Math.max(n, rounds[0].n), rounds.at(-1).n);
    overlay();
  };
  const under = (event) => {
    const box = over.getBoundingClientRect();
    return scale && box.width ? scale.round(((event.clientX - box.left) * scale.width) / box.width) : null;
  };
  picture.addEventListener("pointermove", (event) => look(under(event)));
  picture.addEventListener("pointerleave", () => look(sliding ? Number(scrub.value) : null));
  picture.addEventListener("click", (event) => choose(under(event)));

  // --- one round, chosen: to look at it, and to go back to it
  const scrub = make("input", { type: "range", step: 1, "aria-label": "round to look at" });
  const back = make("button", { type: "button", class: "fl-button", disabled: true }, "Rewind");
  place("scrub").append(make("div", { class: "fl-scrub", hidden: true }, scrub, back));
  const letGo = () => {
    sliding = false;
    look(null);
    reach();
  };
  const choose = (n) => {
    if (n == null || !rounds.length) return;
    if (sliding && n === looked && document.activeElement !== scrub) return letGo();
    sliding = true;
    look(n);
    scrub.value = looked;
    reach();
  };
  const reach = () => {
    const { live, first, acts } = model.get("controls"), last = rounds.at(-1)?.n ?? 0;
    place("scrub").firstElementChild.hidden = rounds.length < 2;
    scrub.min = rounds[0]?.n ?? 0;
    scrub.max = last;
    if (!sliding) scrub.value = last;
    const n = Number(scrub.value);
    back.hidden = !acts.includes("rewind");
    back.textContent = `Rewind to round ${n}`;
    back.disabled = !live || !sliding || n < first || n >= last;
  };
  scrub.addEventListener("input", () => choose(Number(scrub.value)));
  scrub.addEventListener("blur", () => { if (back.disabled) letGo(); });
  el.addEventListener("keydown", (event) => { if (event.key === "Escape") letGo(); });
  back.addEventListener("click", () => {
    say("rewind", { to: Number(scrub.value) });
    letGo();
  });

  // --- buttons and sliders
  const buttons = Object.fromEntries(BUTTONS.map(([name, sign, words]) => {
    const icon = make("span", { "aria-hidden": "true" }, sign), label = make("span", {}, words);
    const node = make("button", { type: "button", class: "fl-button", on: { click: () => say(node.dataset.act) } }, icon, label);
    node.dataset.act = name;
    return [name, node];
  }));
  place("controls").append(make("div", { class: "fl-controls", role: "group", "aria-label": "the run" }, ...Object.values(buttons)));
  const knobs = new Map();
  const board = make("details", { class: "fl-card fl-knobs", "data-testid": "settings", open: true });
  board.append(make("summary", {}, "Settings of the next rounds"));
  place("settings").append(board);
  const knobRow = (knob) => {
    const number = make("output", {});
    const slider = make("input", { type: "range", "aria-label": knob.label, "data-setting": knob.name });
    const row = make("label", { title: knob.hint }, make("span", {}, knob.label), slider, number);
    const kept = { slider, number, row, knob };
    slider.addEventListener("input", () => { number.textContent = spoken(kept.knob, toValue(kept.knob, slider.value)); });
    slider.addEventListener("change", () => {
      const value = toValue(kept.knob, slider.value);
      if (value !== kept.knob.value) say("change", { name: knob.name, value });
    });
    board.append(row);
    return kept;
  };
  const controls = () => {
    const { state, live, settings, acts } = model.get("controls"), paused = state === "paused";
    for (const [name, node] of Object.entries(buttons)) node.hidden = !acts.includes(name);
    buttons.pause.dataset.act = paused ? "resume" : "pause";
    buttons.pause.firstElementChild.textContent = paused ? "▶" : "❚❚";
    buttons.pause.lastElementChild.textContent = paused ? "Resume" : "Pause";
    buttons.pause.disabled = buttons.stop.disabled = !live;
    buttons.step.disabled = !paused;
    board.hidden = !settings.length;
    for (const knob of settings) {
      if (!knobs.has(knob.name)) knobs.set(knob.name, knobRow(knob));
      const kept = knobs.get(knob.name), { slider, number } = kept, [min, max, step] = scaleOf(knob);
      kept.knob = knob;
      Object.assign(slider, { min, max, step, disabled: !live });
      if (slider.matches(":active")) continue; // it is being dragged
      slider.value = toPlace(knob, knob.value);
      number.textContent = spoken(knob, knob.value);
      slider.setAttribute("aria-valuetext", number.textContent);
    }
    for (const [name, { row }] of knobs) row.hidden = !settings.some((knob) => knob.name === name);
    reach();
  };

  // --- the picture as a file
  const download = (blob, ending) => {
    const link = make("a", { href: URL.createObjectURL(blob), download: `run-round-${rounds.at(-1)?.n ?? 0}.${ending}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const drawn = () => new Blob([new XMLSerializer().serializeToString(drawing.firstElementChild)], { type: "image/svg+xml" });
  const asPNG = async () => {
    const image = new Image(), address = URL.createObjectURL(drawn()), { width, height } = scale;
    image.src = address;
    image.width = width;
    await image.decode();
    const canvas = make("canvas", { width: 2 * width, height: 2 * height }), brush = canvas.getContext("2d");
    brush.fillStyle = "#fff";
    brush.fillRect(0, 0, canvas.width, canvas.height);
    brush.drawImage(image, 0, 0, canvas.width, canvas.height);
    URL.revokeObjectURL(address);
    canvas.toBlob((blob) => download(blob, "png"));
  };
  place("scrub").append(make("div", { class: "fl-files" }, "Save the picture: ",
    make("button", { type: "button", class: "fl-button", on: { click: () => download(drawn(), "svg") } }, "SVG"),
    make("button", { type: "button", class: "fl-button", on: { click: asPNG } }, "PNG")));

  // --- a page that hears nothing says so: what it shows may be out of date
  const silence = make("p", { class: "fl-alarm", role: "alert", "data-testid": "silence", hidden: true });
  place("controls").append(silence);
  const listen = setInterval(() => {
    const seconds = Math.round((performance.now() - heardAt) / 1000), quiet = model.get("controls").live && seconds > QUIET;
    silence.hidden = !quiet;
    const long = Number.isFinite(seconds) ? `for ${seconds} s` : "any more";
    if (quiet) silence.textContent =
      `No word from the kernel ${long}: it is busy with another cell, or gone. What you see may be out of date.`;
  }, 1000);

  // --- the line to the kernel
  const heard = (message) => {
    heardAt = performance.now();
    if (message.points == null) return;
    rounds.length = Math.min(rounds.length, message.from);
    rounds.push(...message.points);
    reach();
    overlay();
  };
  const answer = () => {
    const seq = model.get("seq");
    requestAnimationFrame(() => say("ack", { seq }));
  };
  const seen = () => say("seen", { visible: !document.hidden });
  const measure = () => {
    const width = Math.round(picture.clientWidth / 20) * 20;
    if (width > 0 && width !== wide) say("width", { width: (wide = width) });
  };
  const watch = { picture: draw, controls, seq: answer };
  for (const name of slots) watch[`slot_${name}`] = () => fill(name);
  for (const [name, act] of Object.entries(watch)) model.on(`change:${name}`, act);
  model.on("msg:custom", heard);
  document.addEventListener("visibilitychange", seen);
  const observer = new ResizeObserver(measure);
  observer.observe(picture);
  slots.forEach(fill);
  draw();
  controls();
  say("ready", { visible: !document.hidden, width: Math.round(picture.clientWidth / 20) * 20 });

  return () => {
    clearInterval(listen);
    observer.disconnect();
    document.removeEventListener("visibilitychange", seen);
    for (const [name, act] of Object.entries(watch)) model.off(`change:${name}`, act);
    model.off("msg:custom", heard);
    say("gone");
  };
}

export default { render };
