"""Under which licences does a package come, as an SPDX expression?

Debian's machine-readable copyright files name licences in words of their own; those we know become SPDX identifiers,
others `LicenseRef-debian-NAME`. A copyright file in free text gives None: nobody should guess a licence.
"""

import re

IDENTIFIERS = {
    "agpl-3": "AGPL-3.0-only", "agpl-3+": "AGPL-3.0-or-later",
    "apache-2": "Apache-2.0", "apache-2.0": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl", "artistic-1": "Artistic-1.0-Perl", "artistic-2.0": "Artistic-2.0",
    "beerware": "Beerware", "bsl-1.0": "BSL-1.0", "bzip2-1.0.6": "bzip2-1.0.6", "curl": "curl",
    "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause", "bsd-4-clause": "BSD-4-Clause",
    "cc-by-4.0": "CC-BY-4.0", "cc-by-sa-3.0": "CC-BY-SA-3.0", "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc0": "CC0-1.0", "cc0-1.0": "CC0-1.0", "expat": "MIT", "mit": "MIT", "0bsd": "0BSD",
    "fsfap": "FSFAP", "fsful": "FSFUL", "fsfullr": "FSFULLR", "hpnd": "HPND",
    "gfdl-1.1+": "GFDL-1.1-or-later", "gfdl-1.2": "GFDL-1.2-only", "gfdl-1.2+": "GFDL-1.2-or-later",
    "gfdl-1.3": "GFDL-1.3-only", "gfdl-1.3+": "GFDL-1.3-or-later",
    "gfdl-niv-1.3": "GFDL-1.3-no-invariants-only", "gfdl-niv-1.3+": "GFDL-1.3-no-invariants-or-later",
    "gpl": "GPL-1.0-or-later", "gpl-1": "GPL-1.0-only", "gpl-1+": "GPL-1.0-or-later",
    "gpl-2": "GPL-2.0-only", "gpl-2.0": "GPL-2.0-only", "gpl-2+": "GPL-2.0-or-later", "gpl-2.0+": "GPL-2.0-or-later",
    "gpl-3": "GPL-3.0-only", "gpl-3.0": "GPL-3.0-only", "gpl-3+": "GPL-3.0-or-later", "gpl-3.0+": "GPL-3.0-or-later",
    "isc": "ISC", "lgpl-2": "LGPL-2.0-only", "lgpl-2+": "LGPL-2.0-or-later", "lgpl-2.0+": "LGPL-2.0-or-later",
    "lgpl-2.1": "LGPL-2.1-only", "lgpl-2.1+": "LGPL-2.1-or-later",
    "lgpl-3": "LGPL-3.0-only", "lgpl-3+": "LGPL-3.0-or-later", "lgpl-3.0+": "LGPL-3.0-or-later",
    "mit-0": "MIT-0", "mpl-1.1": "MPL-1.1", "mpl-2.0": "MPL-2.0", "openssl": "OpenSSL", "unlicense": "Unlicense",
    "python-2.0": "Python-2.0", "tcl": "TCL", "x11": "X11", "zlib": "Zlib",
}

OTHER = "LicenseRef-debian-"


def of_copyright(text):
    """What a Debian copyright file says about all the files of its package together."""
    if not re.match(r"(?i)format(-specification)?:", text.lstrip()):
        return None
    named = {line.partition(":")[2].strip() for line in text.splitlines() if re.match(r"(?i)license:", line)}
    terms = sorted({alternatives(part) for name in named for part in together(name)} - {""})
    return joined(terms, "AND") or None


def of_crate(text):
    """Cargo once allowed `MIT/Apache-2.0`."""
    return text and re.sub(r"\s*/\s*", " OR ", text)


def others_in(expression):
    """The licences of an expression that SPDX does not know."""
    return re.findall(OTHER + r"[A-Za-z0-9.-]+", expression or "")


def together(name):
    return re.split(r"(?i)\s+and\s+|,\s*and\s+", name)


def alternatives(part):
    terms = [identifier(one) for one in re.split(r"(?i),?\s+or\s+|\s*\|\s*", part) if one.strip()]
    return joined(sorted(set(terms)), "OR")


def identifier(name):
    name = name.strip(" ,.")
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", name.replace("+", "-or-later")).strip("-")
    return IDENTIFIERS.get(name.lower()) or OTHER + (plain or "unnamed")


def joined(terms, word):
    if len(terms) < 2:
        return "".join(terms)
    return f" {word} ".join(f"({one})" if " " in one else one for one in terms)
