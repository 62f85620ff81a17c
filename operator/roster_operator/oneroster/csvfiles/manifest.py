"""What manifest.csv says: the version, and for each file whether it is absent, bulk or delta."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from .faults import Finding
from .tables import KNOWN, PROFILES, TABLES, Version

SHOWN = "manifest.csv"
_VERSIONS: dict[str, Version] = {"1.1": "1.1", "1.1.1": "1.1", "1.2": "1.2", "1.2.0": "1.2", "1.2.1": "1.2"}
_OTHER = ("manifest.version", "oneroster.version", "source.systemName", "source.systemCode")
_MAX_PROPERTIES = 1_000
_MODES = ("absent", "bulk", "delta")
_PROPERTIES = {name.lower(): name for name in (*_OTHER, *(f"file.{table}" for table in sorted(KNOWN)))}


@dataclass
class Manifest:
    """told: whether it can be read and names a version; else version means nothing, and modes is empty. modes: of the
    tables that are read, bulk or delta. missing: tables that are promised and not there."""

    told: bool = False
    version: Version = "1.1"
    modes: dict[str, str] = field(default_factory=dict[str, str])
    missing: list[str] = field(default_factory=list[str])
    findings: list[Finding] = field(default_factory=list[Finding])

    def note(self, code: str, file: str = SHOWN, line: int = 0) -> None:
        """Adds a finding."""
        self.findings.append(Finding(code, file, line))


def read_manifest(rows: Iterable[tuple[int, list[str]]], present: Collection[str]) -> Manifest:
    """Pure. rows: (line, cells), the header too. present: the tables whose files are there."""
    manifest = Manifest()
    values: dict[str, tuple[int, str]] = {}
    whole = True
    for number, (line, row) in enumerate(rows):
        name = row[0].strip().strip("\ufeff")
        if number == 0 and name.lower().replace(" ", "") == "propertyname":
            if [cell.strip() for cell in row] != ["propertyName", "value"]:
                manifest.note("ManifestHeader", line=line)
            continue
        if number == 0:
            manifest.note("ManifestHeader", line=line)
        if number > _MAX_PROPERTIES or len(row) < 2 or any(cell.strip() for cell in row[2:]):
            manifest.note("ManifestMalformed", line=line)
            whole = False
            break
        _property(manifest, values, name, row[1].strip(), line)
    if whole and not values:
        manifest.note("ManifestMalformed")
        return manifest
    line, version = values.get("manifest.version", (0, ""))
    if version not in ("1.0", "1") and (whole or line):
        manifest.note("ManifestVersionUnknown", line=line)
    line, version = values.get("oneroster.version", (0, ""))
    if version not in _VERSIONS and (whole or line):
        manifest.note("OneRosterVersionUnknown", line=line)
    if not whole or version not in _VERSIONS:
        _promised(manifest, values, present, whole=whole)
        return manifest
    manifest.told, manifest.version = True, _VERSIONS[version]
    _modes(manifest, manifest.version, values, present)
    return manifest


def _promised(
    manifest: Manifest, values: Mapping[str, tuple[int, str]], present: Collection[str], *, whole: bool
) -> None:
    """What can be said of the files without a version: nothing that may follow from what is wrong already."""
    for table in TABLES["1.2"]:
        line, value = values.get(f"file.{table}", (0, ""))
        if value and value.lower() not in _MODES:
            manifest.note("ManifestModeUnknown", line=line)
        elif value.lower() in ("bulk", "delta") and table not in present:
            manifest.note("FileMissing", f"{table}.csv")
            manifest.missing.append(table)
        elif not value and table in present and whole:
            manifest.note("ManifestModeMissing", f"{table}.csv")


def _property(manifest: Manifest, values: dict[str, tuple[int, str]], name: str, value: str, line: int) -> None:
    known = _PROPERTIES.get(name.lower())
    if known is None:
        close = get_close_matches(name.lower(), _PROPERTIES, n=2, cutoff=0.85)
        # Only the prefix may be guessed at: two tables' names can be close to each other.
        same = [each for each in close if each.rpartition(".")[2] == name.lower().rpartition(".")[2]]
        if len(same) != 1:
            manifest.note("ManifestPropertyUnknown", line=line)
            return
        known = _PROPERTIES[same[0]]
        manifest.note("ManifestTypo", line=line)
    elif known != name:
        manifest.note("ManifestTypo", line=line)
    if known in values and values[known][1] != value:
        manifest.note("ManifestContradicts", line=line)
    values[known] = (line, value)


def _modes(
    manifest: Manifest, version: Version, values: Mapping[str, tuple[int, str]], present: Collection[str]
) -> None:
    ours = TABLES[version]
    unsure = False
    for table in (*ours, *sorted(KNOWN - ours.keys())):
        line, value = values.get(f"file.{table}", (0, ""))
        shown = f"{table}.csv"
        mode = value.lower() if value.lower() in _MODES else None
        if mode is not None and mode != value:
            manifest.note("ManifestModeCase", line=line)
        if mode is None and value:
            manifest.note("ManifestModeUnknown", line=line)
            unsure = True
        elif mode is None and table in present and table in ours:
            manifest.note("ManifestModeMissing", shown)
            unsure = True
        elif mode is None and line:
            manifest.note("ManifestValueEmpty", line=line)
        elif mode is None and table in ours:
            manifest.note("ManifestPropertyMissing", shown)
        if table not in ours:
            if table in present:
                manifest.note("TableNotInVersion" if table in TABLES["1.2"] else "NotImported", shown)
        elif mode == "absent" and table in present:
            manifest.note("FileCalledAbsent", shown)
        elif mode in ("bulk", "delta") and table not in present:
            manifest.note("FileMissing", shown)
            manifest.missing.append(table)
        elif mode in ("bulk", "delta"):
            manifest.modes[table] = mode
            if table == PROFILES:
                manifest.note("ProfilesNotImported", shown)
    if not manifest.modes and not manifest.missing and not unsure:
        manifest.note("NothingOffered")
    if version == "1.2" and "users" in manifest.modes and "roles" not in manifest.missing and not unsure:
        _roles(manifest)


def _roles(manifest: Manifest) -> None:
    users, roles = manifest.modes["users"], manifest.modes.get("roles")
    if roles is None:
        # Users of a delta may have changed without their roles.
        manifest.note("RolesInDelta" if users == "delta" else "RolesMissing", "roles.csv")
    elif (users, roles) == ("bulk", "delta"):
        manifest.note("RolesModeDiffers", "roles.csv")
    elif (users, roles) == ("delta", "bulk"):
        manifest.note("RolesOfBulk", "roles.csv")
    elif roles == "delta":
        manifest.note("RolesInDelta", "roles.csv")
