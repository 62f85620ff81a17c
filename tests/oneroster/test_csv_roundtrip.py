"""Whatever can be a record comes back from the files as it went in, in both versions."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from roster_operator.oneroster.csvfiles.export import NotRepresentableError, export
from roster_operator.oneroster.csvfiles.source import CsvSource
from roster_operator.oneroster.csvfiles.validate import validate
from roster_operator.oneroster.decode import Decoder, Version
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.records import Org, Record, User, canonical
from roster_sample_sis import Rendering, generate
from roster_sample_sis import Version as SisVersion
from roster_sample_sis.variants import one_percent_changed

from .test_oneroster_roundtrip import records

DISTRICT = one_percent_changed(generate(11, 300))


def back(data: bytes, entity: Entity) -> list[Record]:
    with CsvSource(io.BytesIO(data)) as source:
        decode = source.decoder(entity)
        found = [decode(raw) for page in source.pages(entity) for raw in page.records]
    assert [each.problems for each in found if each.record is None] == []
    return [each.record for each in found if each.record is not None]


def of_the_sis(version: Version) -> dict[Entity, list[Record]]:
    rendering = Rendering(DISTRICT, SisVersion(version), "https://sis.example.org")
    found: dict[Entity, list[Record]] = {}
    for entity in Entity:
        decode = Decoder(entity, version)
        found[entity] = [
            record for raw in rendering.records(entity.value, 0, 1_000_000) if (record := decode(raw).record)
        ]
    return found


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_district_exported_and_read_back_is_itself(version: Version) -> None:
    district = of_the_sis(version)
    whole, delta = export(district, version), export(district, version, mode="delta")
    for entity in Entity:
        assert len(district[entity]) > 3
        assert back(delta, entity) == district[entity]
        active = [canonical(record) for record in district[entity] if record.status == "active"]
        assert [canonical(record) for record in back(whole, entity)] == active
    report = validate(io.BytesIO(whole))
    assert (report.errors, report.conforms) == (0, True)


def as_csv_can(record: Record, version: Version) -> Record:
    """Without what a file cannot say: structured metadata, numbers in it, and what 1.1 has no column for."""
    values: dict[str, Any] = {name: getattr(record, name) for name in record.__struct_fields__}
    metadata = {key: value for key, value in (record.metadata or {}).items() if isinstance(value, str) and value}
    values["metadata"] = metadata or None
    if record.date_last_modified is not None:
        moment = record.date_last_modified
        values["date_last_modified"] = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    if isinstance(record, User):
        assume(not any(":" in item["type"] for item in record.user_ids))
        assume(all(role["role_type"] for role in record.roles))
        if version == "1.1":
            for name in ("preferred_given_name", "preferred_middle_name", "preferred_family_name", "pronouns",
                         "primary_org_sourced_id", "user_master_identifier"):  # fmt: skip
                values[name] = None
    return type(record)(**values)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize("entity", list(Entity))
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_record_exported_and_read_back_is_itself(entity: Entity, version: Version, data: st.DataObject) -> None:
    record = as_csv_can(data.draw(records(entity, version)), version)
    written = export({entity: [record]}, version, mode="delta", escape_formulas=False)
    assert back(written, entity) == [record]


def org(name: str, identifier: str | None = None) -> Org:
    return Org("-1", "active", None, None, name, "school", identifier, None)


def cells(data: bytes, name: str) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return list(csv.reader(io.StringIO(file.read(name).decode(), newline="")))[1]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"),
        ("\t=1", "'\t=1"),
        ("+1 (555) 010-0199", "+1 (555) 010-0199"),
        ("-7", "-7"),
        ("North = South", "North = South"),
    ],
)
def test_a_formula_is_escaped_on_export_and_an_id_never(text: str, shown: str) -> None:
    row = cells(export({Entity.ORGS: [org(text)]}, "1.1"), "orgs.csv")
    assert (row[0], row[3]) == ("-1", shown)
    row = cells(export({Entity.ORGS: [org(text)]}, "1.1", escape_formulas=False), "orgs.csv")
    assert row[3] == text


def test_what_a_file_cannot_hold_is_refused_and_not_bent() -> None:
    record = Org("o", "active", None, {"secretly": ["canary"]}, "North", "school", None, None)
    with pytest.raises(NotRepresentableError, match="orgs: metadata") as caught:
        export({Entity.ORGS: [record]}, "1.2")
    assert "canary" not in str(caught.value)
