"""How does CycloneDX 1.6 write a bill down?

The image is the metadata's component; what it is made of are the components; the binaries that a component brought
are components of type `file` inside it.
"""


def document(bill):
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{bill.identity()}",
        "version": 1,
        "metadata": {"timestamp": bill.made_at(), "component": image(bill)},
        "components": [component(one) for one in bill.sorted()],
        "dependencies": [depends(bill.purl, bill.components), *(depends(one.purl, one.depends) for one in bill.sorted())],
    }


def image(bill):
    return with_files({"type": "operating-system", "bom-ref": bill.purl, "name": bill.name, "version": bill.version,
                       "purl": bill.purl}, bill.files, bill.purl)


def component(one):
    said = {"type": "application" if one.program else "library", "bom-ref": one.purl, "name": one.name,
            "version": one.version, "purl": one.purl}
    if one.sha256:
        said["hashes"] = [{"alg": "SHA-256", "content": one.sha256}]
    if one.licence:
        said["licenses"] = [{"expression": one.licence}]
    if one.trees:
        said["properties"] = [{"name": "scaibox:tree", "value": tree} for tree in one.trees]
    return with_files(said, one.files, one.purl)


def with_files(said, files, owner):
    if files:
        said["components"] = [{"type": "file", "bom-ref": f"{owner}#{one.path}", "name": one.path,
                               "hashes": [{"alg": "SHA-256", "content": one.sha256}]} for one in files]
    return said


def depends(purl, on):
    return {"ref": purl, "dependsOn": sorted(on)}
