"""hardening/README.md shows hardening/limits.toml: run this file to write the table anew."""

import tomllib

from tree import REPOSITORY

README = REPOSITORY / "hardening/README.md"
BEGIN, END = "<!-- table: written from limits.toml by tests/security/test_table.py -->\n", "<!-- end of the table -->\n"
HEAD = "| unit | runs as | exposure | network | rights | touches | because |\n|---|---|---|---|---|---|---|\n"
RUNS_AS = {"own": "its own user", "third-party": "its own user", "root": "root"}


def table():
    limits = tomllib.loads((REPOSITORY / "hardening/limits.toml").read_text())
    return HEAD + "".join(row(name.removesuffix(".service"), limit) for name, limit in limits.items())


def row(name, limit):
    rights = ", ".join(limit["rights"]) or "none"
    cells = [f"`{name}`", RUNS_AS[limit["kind"]], limit["exposure"], limit["network"], rights, limit["touches"], limit["because"]]
    return "| " + " | ".join(map(str, cells)) + " |\n"


def test_the_readme_shows_the_limits():
    text = README.read_text()
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)] == table()


if __name__ == "__main__":
    text = README.read_text()
    README.write_text(text[: text.index(BEGIN) + len(BEGIN)] + table() + text[text.index(END) :])
