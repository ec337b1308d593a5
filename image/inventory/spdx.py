"""How does SPDX 2.3 write a bill down?

The image and its components are packages whose files are not all listed (`filesAnalyzed` false, as for any package that
was not built from a listing); each binary is a file, GENERATED_FROM the package that brought it.
"""

import hashlib

from inventory import licences

NOT_SAID = "NOASSERTION"


def document(bill):
    image = {"purl": bill.purl, "name": bill.name, "version": bill.version, "purpose": "OPERATING-SYSTEM"}
    packages = [package(**image), *(of_component(one) for one in bill.sorted())]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{bill.name}-{bill.version}",
        "documentNamespace": f"urn:uuid:{bill.identity()}",
        "creationInfo": {"created": bill.made_at(), "creators": ["Tool: scaibox-sbom"]},
        "packages": packages,
        "files": [file(one) for one, _ in files_of(bill)],
        "relationships": relationships(bill),
        "hasExtractedLicensingInfos": licences_of(bill),
    }


def of_component(one):
    return package(one.purl, one.name, one.version, "APPLICATION" if one.program else "LIBRARY", one.licence, one.sha256)


def package(purl, name, version, purpose, licence=None, sha256=None):
    said = {"SPDXID": identifier(purl), "name": name, "versionInfo": version, "downloadLocation": NOT_SAID,
            "filesAnalyzed": False, "licenseConcluded": NOT_SAID, "licenseDeclared": licence or NOT_SAID,
            "copyrightText": NOT_SAID, "primaryPackagePurpose": purpose,
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}]}
    return said | ({"checksums": [{"algorithm": "SHA256", "checksumValue": sha256}]} if sha256 else {})


def file(one):
    return {"SPDXID": identifier(one.path), "fileName": f"./{one.path}", "fileTypes": ["BINARY"],
            "checksums": [{"algorithm": "SHA1", "checksumValue": one.sha1},
                          {"algorithm": "SHA256", "checksumValue": one.sha256}],
            "licenseConcluded": NOT_SAID, "licenseInfoInFiles": [NOT_SAID], "copyrightText": NOT_SAID}


def files_of(bill):
    """Every file with the purl of what brought it."""
    return [(one, bill.purl) for one in bill.files] + [(one, owner.purl) for owner in bill.sorted() for one in owner.files]


def relationships(bill):
    links = [("SPDXRef-DOCUMENT", "DESCRIBES", identifier(bill.purl))]
    links += [(identifier(bill.purl), "CONTAINS", identifier(one.purl)) for one in bill.sorted()]
    links += [(identifier(one.purl), "DEPENDS_ON", identifier(other))
              for one in bill.sorted() for other in sorted(one.depends)]
    links += [(identifier(one.path), "GENERATED_FROM", identifier(owner)) for one, owner in files_of(bill)]
    return [{"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other} for one, kind, other in links]


def licences_of(bill):
    """Licences that SPDX has no identifier for must be explained in the document."""
    users = {}
    for one in bill.sorted():
        for licence in licences.others_in(one.licence):
            users.setdefault(licence, set()).add(one.name)
    return [{"licenseId": licence, "extractedText": f"See /usr/share/doc/{min(names)}/copyright of the Debian package."}
            for licence, names in sorted(users.items())]


def identifier(text):
    """Letters, digits, dots and dashes only; a hash keeps two names apart that differ in something else."""
    plain = "".join(char if char.isascii() and char.isalnum() else "-" for char in text)[-60:].strip("-")
    return f"SPDXRef-{plain}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
