// Tells the kernel what only the page knows: that it is there, that it is seen, that the last push was drawn.
function render({ model, el }) {
  el.classList.add("fl-link");
  let observers = [], timer = 0, root = null;
  const say = (values) => {
    for (const [name, value] of Object.entries(values)) model.set(name, value);
    model.save_changes();
  };
  const fit = () => {
    clearTimeout(timer);
    timer = setTimeout(() => window.dispatchEvent(new Event("resize")), 50);
  };
  const look = () => {
    if (!root.querySelector(".fl-plot .js-plotly-plot .main-svg")) return;
    window.dispatchEvent(new Event("resize")); // plotly paints 700 px wide until the window says otherwise
    requestAnimationFrame(() => requestAnimationFrame(() => {
      root.classList.add("fl-drawn");
      fit();
      say({ drawn: 1 });
    }));
    observers[1].disconnect();
  };
  const start = () => {
    root = el.closest(".fl-root");
    if (!root) return (timer = setTimeout(start, 50));
    observers = [new ResizeObserver(fit), new MutationObserver(look)];
    observers[0].observe(root);
    observers[1].observe(root, { childList: true, subtree: true });
    look();
    say({ ready: 1, visible: +!document.hidden, ack: model.get("seq") });
  };
  const acknowledge = () => {
    const seq = model.get("seq");
    requestAnimationFrame(() => say({ ack: seq }));
  };
  const visibility = () => say({ visible: +!document.hidden });
  model.on("change:seq", acknowledge);
  document.addEventListener("visibilitychange", visibility);
  start();
  return () => {
    clearTimeout(timer);
    observers.forEach((o) => o.disconnect());
    model.off("change:seq", acknowledge);
    document.removeEventListener("visibilitychange", visibility);
  };
}
export default { render };
