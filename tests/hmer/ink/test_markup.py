"""Finding `<ink>` in what other programs write."""

from __future__ import annotations

from base64 import encodebytes
from quopri import encodestring

import pytest

from hmer.errors import InkError
from hmer.ink.markup import has_ink, local, parse_ink, root_name

INK = '<ink xmlns="http://www.w3.org/2003/InkML"><a>Zoé</a><trace>1 2</trace></ink>'


def declared(encoding: str) -> str:
    return f'<?xml version="1.0" encoding="{encoding}"?>\n{INK}'


def part(encoding: str) -> bytes:
    """Of a multipart message, as a saved web archive (MHTML) has it."""
    body = declared("utf-8").encode()
    body = encodebytes(body) if encoding == "base64" else encodestring(body)
    head = f"--b\n\n<html></html>\n--b\nContent-Transfer-Encoding: {encoding}"
    return f"{head}\nContent-Type: application/inkml+xml\n\n".encode() + body + b"\n--b--\n"


@pytest.mark.parametrize(
    "data",
    [
        INK.encode(),
        declared("utf8").encode(),
        declared("gb2312").encode("utf-8"),
        declared("utf-16").encode("utf-8"),
        declared("klingon").encode("utf-8"),
        declared("latin-1").encode("latin-1"),
        declared("windows-1252").encode("cp1252"),
        INK.encode("cp1252"),
        declared("utf-8").encode("cp1252"),
        declared("utf-16").encode("cp1252"),
        declared("klingon").encode("cp1252"),
        declared("utf-8").encode("utf-8-sig"),
        declared("utf-16").encode("utf-16"),
        declared("utf-16").encode("utf-16-be"),
        declared("utf-8").encode("utf-16-le"),
        declared("utf-32").encode("utf-32"),
        b"\r\n \n" + declared("utf-8").encode(),
        "\n\n".encode("utf-16-le") + declared("utf-16").encode("utf-16-le"),
        declared("utf-8").encode() + b"\0\0\0",
        declared("utf-8").encode() + b"\x1a",
        f"<doc xmlns:i='x'><page>{INK}</page></doc>".encode(),
        INK.replace("<ink xmlns", "<i:ink xmlns:i").replace("</ink", "</i:ink").encode(),
        f"--b\nContent-Type: application/inkml+xml\n\n{declared('utf-8')}\n--b--\n".encode(),
        f"<html><br><p>a<p>{INK}</html>".encode(),
        *(part(kind) for kind in ("base64", "quoted-printable")),
    ],
)
def test_ink_is_found_and_its_text_is_right(data: bytes) -> None:
    assert has_ink(data)
    root = parse_ink(data, "a")
    assert local(root) == "ink"
    assert root[0].text == "Zoé"


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("a\x01b", "ab"),
        ("&alpha;&nbsp;&lt; 1", "α\xa0< 1"),
        ("1 & 2 &amp; 3", "1 & 2 & 3"),
        ("&nothing; &#945;", "&nothing; α"),
    ],
)
def test_what_xml_does_not_know_is_read(text: str, truth: str) -> None:
    data = f"<ink><a>{text}</a></ink>".encode()
    assert has_ink(data)
    assert parse_ink(data, "a.inkml")[0].text == truth


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"<svg/>", "svg"),
        (b"<?xml version='1.0'?><!-- <a> --><!DOCTYPE a [<!ENTITY b 'c'>] ><s:svg x=''>", "svg"),
        ("\ufeff\n<page/>".encode("utf-16"), "page"),
        (b"<!a>" * 10_000, ""),
        (b"<!-- -->" * 10_000 + b"-", ""),
        (b"\x89PNG<svg/>", ""),
        (b"", ""),
    ],
)
def test_the_outermost_element(data: bytes, name: str) -> None:
    assert root_name(data) == name


def test_chinese_declared_as_such() -> None:
    data = declared("gb2312").replace("Zoé", "李明").encode("gb2312")
    assert parse_ink(data, "a")[0].text == "李明"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no text"),
        (b"\0\0", "no text"),
        (b"{}", "a text without an <ink> element"),
        (b"<?xml version='1.0'?><!-- x --><svg/>", "root element is <svg>"),
        (b"<!doctype HTML><p>404", "a web page"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "no text"),
        (b"<ink><trace>1 2</tra", "cut short"),
        (b"<ink><trace>1 2</ink>", "well-formed XML .mismatched tag"),
        (b"<a><ink/><ink/></a>", "2 <ink> elements"),
        (b"<a><![CDATA[<ink></ink>]]></a>", "an <ink> that is text"),
        (b"--b\n<ink></ink>\n--b\n<ink></ink>", "2 <ink> elements"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><ink>&b;</ink>', "refused"),
    ],
)
def test_what_is_no_ink_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(InkError, match=reason) as caught:
        parse_ink(data, "a.inkml")
    assert str(caught.value).startswith("a.inkml")
    assert ("cut short" in str(caught.value)) == (reason == "cut short")
