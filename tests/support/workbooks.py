"""Excel and OpenDocument workbooks written by hand, because no dependency writes them."""

import datetime
import zipfile
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_SCHEMA = "http://schemas.openxmlformats.org"
_RELATION = f"{_SCHEMA}/officeDocument/2006/relationships"


class Error(str):
    """Value of a failed formula, such as ``#N/A``."""


def write_xlsx(path: Path, rows: list[list[Any]]) -> Path:
    """Write one sheet of text, numbers, booleans, dates and empty cells; numbers become floats, as in Excel."""
    return write_workbook(path, {"S": rows})


def write_workbook(path: Path, sheets: dict[str, list[list[Any]]], hidden: tuple[str, ...] = ()) -> Path:
    """Write several sheets with the same kinds of cells, some of them hidden."""
    names = list(enumerate(sheets, 1))
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_SCHEMA}/package/2006/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" '
        f'ContentType="{_TYPE}.sheet.main+xml"/>'
        + "".join(
            f'<Override PartName="/xl/worksheets/sheet{i}.xml" ContentType="{_TYPE}.worksheet+xml"/>' for i, _ in names
        )
        + "</Types>",
        "_rels/.rels": _relations([("officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": f'<workbook xmlns="{_SCHEMA}/spreadsheetml/2006/main" xmlns:r="{_RELATION}"><sheets>'
        + "".join(
            f'<sheet name="{escape(name)}" sheetId="{i}" r:id="rId{i}"{_state(name in hidden)}/>' for i, name in names
        )
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": _relations(
            [*(("worksheet", f"worksheets/sheet{i}.xml") for i, _ in names), ("styles", "styles.xml")]
        ),
        "xl/styles.xml": f'<styleSheet xmlns="{_SCHEMA}/spreadsheetml/2006/main"><cellXfs count="3"><xf numFmtId="0"/>'
        '<xf numFmtId="14"/><xf numFmtId="22"/></cellXfs></styleSheet>',
    }
    for i, name in names:
        cells = "".join(
            f'<row r="{row}">{"".join(_cell(value, column, row) for column, value in enumerate(values))}</row>'
            for row, values in enumerate(sheets[name], 1)
        )
        parts[f"xl/worksheets/sheet{i}.xml"] = (
            f'<worksheet xmlns="{_SCHEMA}/spreadsheetml/2006/main"><sheetData>{cells}</sheetData></worksheet>'
        )
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{content}')
    return path


def _state(is_hidden: bool) -> str:
    return ' state="hidden"' if is_hidden else ""


def _relations(targets: list[tuple[str, str]]) -> str:
    listed = "".join(
        f'<Relationship Id="rId{i}" Type="{_RELATION}/{kind}" Target="{target}"/>'
        for i, (kind, target) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{_SCHEMA}/package/2006/relationships">{listed}</Relationships>'


def _cell(value: Any, column: int, row: int) -> str:
    at = f'r="{chr(ord("A") + column)}{row}"'
    if value is None:
        return f"<c {at}/>"
    if isinstance(value, bool):
        return f'<c {at} t="b"><v>{int(value)}</v></c>'
    if isinstance(value, datetime.datetime | datetime.date):
        is_day = type(value) is datetime.date
        moment = datetime.datetime.combine(value, datetime.time()) if is_day else value
        days = (moment - datetime.datetime(1899, 12, 30)) / datetime.timedelta(days=1)
        return f'<c {at} s="{1 if is_day else 2}"><v>{days}</v></c>'
    if isinstance(value, int | float):
        return f"<c {at}><v>{float(value)}</v></c>"
    if isinstance(value, Error):
        return f'<c {at} t="e"><v>{escape(value)}</v></c>'
    return f'<c {at} t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'


def write_ods(path: Path, rows: list[list[Any]]) -> Path:
    """Write one OpenDocument sheet of text and numbers."""
    schema = "urn:oasis:names:tc:opendocument:xmlns"
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    cells = "".join(f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>" for row in rows)
    parts = {
        "mimetype": kind,
        "META-INF/manifest.xml": f'<manifest:manifest xmlns:manifest="{schema}:manifest:1.0"><manifest:file-entry '
        f'manifest:full-path="/" manifest:media-type="{kind}"/></manifest:manifest>',
        "content.xml": f'<office:document-content xmlns:office="{schema}:office:1.0" xmlns:table="{schema}:table:1.0" '
        f'xmlns:text="{schema}:text:1.0"><office:body><office:spreadsheet><table:table table:name="S">{cells}'
        "</table:table></office:spreadsheet></office:body></office:document-content>",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def _ods_cell(value: Any) -> str:
    if isinstance(value, str):
        return f'<table:table-cell office:value-type="string"><text:p>{escape(value)}</text:p></table:table-cell>'
    return f'<table:table-cell office:value-type="float" office:value="{value}"/>'
