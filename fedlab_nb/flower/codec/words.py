"""What is said where something may not cross between two processes, or could not be read."""

from __future__ import annotations

from fedlab_nb.errors import SettingError

_NO_CODE = (
    "Only data crosses between processes, never code: numbers, text, arrays, and objects of classes that both sides "
    "have installed."
)


def unknown_kind(value: object, place: str) -> SettingError:
    """Something that is no data."""
    return SettingError(
        f"An object of type {type(value).__module__}.{type(value).__qualname__} was to be sent (at: {place}).",
        _NO_CODE,
        "Send what it is made of, such as its settings or arrays, and make the object anew at the other side.",
    )


def in_a_notebook(name: str, what: str) -> SettingError:
    """Something that was defined where the other process cannot find it."""
    return SettingError(
        f"The {what} {name!r} was defined in a notebook cell or a script (module __main__), and was to be sent.",
        "The other process does not run that notebook: it has only what is installed there.",
        "Put the definition into the module of your app, such as task.py, and import it from there.",
    )


def unknown_module(module: str, name: str, what: str) -> SettingError:
    """Something of a module that does not belong to what both sides agreed on."""
    return SettingError(
        f"The {what} {name!r} belongs to the module {module!r}, from which nothing is sent or taken.",
        "Each side looks for names only in this package and in the modules that were agreed on.",
        "Put the definition into the module of your app, or send numbers, text and arrays in its place.",
    )


def not_found(module: str, name: str, what: str) -> SettingError:
    """A name that stands for nothing here."""
    return SettingError(
        f"There is no {what} {name!r} in the module {module!r}.",
        "Definitions are found by name and place, and both sides must have the same ones.",
        "Install the same version of the package and of your app at all sides.",
    )


def kept_apart(name: str) -> SettingError:
    """An object that holds rows, keys, budgets or records."""
    return SettingError(
        f"A {name} was to be sent or made from a message.",
        "It holds what belongs to one party: rows, keys, budgets, or the record of what crossed.",
        "Make it at the party that it belongs to, and send only what that party gives out.",
    )


def not_allowed(module: str, name: str, what: str) -> SettingError:
    """A function or class that is not on the list of those that a message may name."""
    return SettingError(
        f"The {what} {name!r} of {module!r} is not among those that a message may name.",
        "A party runs only what it agreed to beforehand, whoever asks for it.",
        "Add it to the list that was agreed on, if every party wants it to be run, or use one that is on the list.",
    )


def shadowed(cls: str, name: str) -> SettingError:
    """An object that has something else where its class has a method."""
    return SettingError(
        f"A {cls} keeps a value of its own under {name!r}, which its class defines.",
        "In the other process it could stand in for a method, so that other code would run than its class says.",
        "Keep the value under another name.",
    )


def code_changed(module: str, name: str) -> SettingError:
    """A function that is no longer the one that its file has."""
    return SettingError(
        f"The function {name!r} of {module!r} is not the one that its file has now.",
        "The other side finds functions by their place in the file, and would run another one.",
        "Restart the kernel, so that the file is loaded as it is.",
    )


def too_much(what: str, most: str) -> SettingError:
    """A message beyond a bound."""
    return SettingError(
        f"A message {what}, and {most}.",
        "Without a bound, one message could fill the memory of the process that reads it.",
        "Send less at once, or allow more where messages are read.",
    )


def unreadable(why: str) -> SettingError:
    """Bytes that are no message."""
    return SettingError(
        f"What arrived could not be read: {why}.",
        "It was damaged on the way, was written by another version, or was made to do harm; nothing in it was run.",
        "Use the same version of the package at all sides, and find out who sent it if this comes again.",
    )
