"""Markup in a file's bytes, whatever the file calls its encoding or wraps its `<ink>` in."""

from __future__ import annotations

import binascii
import codecs
import re
from html import escape
from html.entities import html5
from xml.etree import ElementTree

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from hmer.errors import InkError

REPLACED = "\N{REPLACEMENT CHARACTER}"
"""Stands for bytes of no known encoding."""

_HEAD = 1024
_BOMS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PADDING = "\0\ufeff \t\r\n\f\x1a"  # what editors, devices and transfers leave around a text
_DECLARATION = re.compile(r"<\?xml\b[^>]*?\?>")
_DECLARED = re.compile(rb"""<\?xml\b[^>]*?\bencoding\s*=\s*["']([\w.:-]{1,40})["']""")
_OPENING = re.compile(r"<((?:[\w.-]+:)?ink)(?=[\s/>])")
_BINARY = re.compile(r"[\x00-\x08\x0e-\x1f\ufffd]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # which XML cannot carry
_ROOT = re.compile(
    r"(?>(?:\s+|<\?.*?\?>|<!--.*?-->|<!(?!--)[^>\[]*(?:\[.*?\]\s*)?>)*)<([\w.:-]{1,60})", re.DOTALL
)
_ENCODED = re.compile(  # a part of a multipart message (RFC 2045)
    rb"^content-transfer-encoding:[ \t]*(base64|quoted-printable)[ \t]*\r?\n"
    rb"(?:[^\r\n]+\r?\n)*\r?\n(.*?)(?=\r?\n--|\Z)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_REFERENCE = re.compile(r"&(?!(?:lt|gt|amp|quot|apos|#\d+|#x[0-9A-Fa-f]+);)(?:(\w+);)?")
_ASCII = bytes(range(32, 127))


def has_ink(data: bytes) -> bool:
    """Whether the bytes are a text with an `<ink>` element somewhere in it, in any encoding."""
    head = _text(data[:_HEAD]).strip(_PADDING).replace(REPLACED, "")
    text = head.startswith("<") or not _BINARY.search(head)
    return text and bool(_OPENING.search(_text(_plain(data))))


def root_name(data: bytes) -> str:
    """The name of the outermost element of a text, without its prefix; "" where there is none."""
    if not _text(data[:_HEAD]).strip(_PADDING).startswith("<"):
        return ""
    found = _ROOT.match(_text(data).strip(_PADDING))
    return found[1].rpartition(":")[2] if found else ""


def parse_xml(data: bytes, name: str) -> ElementTree.Element:
    """The outermost element; see `parse_ink` for what is passed over.

    Raises:
        InkError: it defines entities.
        ParseError: not well-formed.
    """
    return _parse(_text(data).strip(_PADDING), name)


def local(element: ElementTree.Element) -> str:
    """The element's name without its namespace; "" for comments and the like."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def parse_ink(data: bytes, name: str) -> ElementTree.Element:
    """The `<ink>` element.

    It may stand in another document (a page of OneNote, XHTML) or between other parts (multipart,
    HTML); a declaration of an encoding that the bytes contradict is passed over, as are control
    characters, and characters that only HTML has a name for (`&alpha;`) are read.

    Raises:
        InkError: there is none, there are several, or it is not well-formed.
    """
    text = _CONTROLS.sub("", _text(_plain(data))).strip(_PADDING)
    opening = _OPENING.search(text)
    if opening is None:
        raise InkError(f"{name}: not InkML: {_kind(_text(data).strip(_PADDING))}")
    try:
        return _only(_parse(text, name), name)
    except ElementTree.ParseError as error:
        reason = str(error)
    closing = f"</{opening[1]}>"
    end = text.rfind(closing)
    if end < 0:
        raise InkError(f"{name}: not well-formed XML ({reason}): <ink> is not closed, so the file "
                       "is cut short; fetch it again")  # fmt: skip
    cut = _REFERENCE.sub(_character, text[opening.start() : end + len(closing)])
    if text.count(closing) > 1:
        raise InkError(f"{name}: it holds {text.count(closing)} <ink> elements; "
                       "save each to a file of its own")  # fmt: skip
    try:
        return _parse(cut, name)
    except ElementTree.ParseError as error:
        raise InkError(
            f"{name}: not well-formed XML ({error}, counted from <ink>); correct it there, or "
            "write the ink again"
        ) from None


def _character(found: re.Match[str]) -> str:
    """What HTML means by the name of a character; other ampersands are themselves."""
    sign = html5.get(f"{found[1]};", "")
    return escape(sign) or found[0].replace("&", "&amp;")


def _parse(text: str, name: str) -> ElementTree.Element:
    """The root element.

    Raises:
        InkError: it defines entities.
        ParseError: not well-formed.
    """
    text = _DECLARATION.sub("", text, count=1) if text.startswith("<?xml") else text
    try:
        root: ElementTree.Element = fromstring(text.encode("utf-8", "replace"))
    except DefusedXmlException as error:
        raise InkError(f"{name}: XML with entities or a DTD is refused ({error})") from error
    return root


def _only(root: ElementTree.Element, name: str) -> ElementTree.Element:
    if local(root) == "ink":
        return root
    found = [element for element in root.iter() if local(element) == "ink"]
    if not found:
        raise InkError(f"{name}: <{local(root)}> holds an <ink> that is text, no element; save it "
                       "to a file of its own")  # fmt: skip
    if len(found) > 1:
        raise InkError(f"{name}: <{local(root)}> holds {len(found)} <ink> elements; "
                       "save each to a file of its own")  # fmt: skip
    return found[0]


def _plain(data: bytes) -> bytes:
    """The parts of a multipart message that hold `<ink>` once decoded; where none does, all."""
    found = []
    for kind, body in _ENCODED.findall(data):
        try:
            decode = binascii.a2b_base64 if kind.lower() == b"base64" else binascii.a2b_qp
            part = decode(body)
        except binascii.Error:
            continue
        if _OPENING.search(_text(part)):
            found.append(part)
    return b"\n".join(found) or data


def _text(data: bytes) -> str:
    """The bytes as text: by their mark or their form, and only then by what they declare.

    Bytes that are UTF-8 are so by design: no other encoding gives valid UTF-8 by chance. Stray ones
    in it, or in a text whose encoding nothing tells, are taken for those of Windows-1252.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    start = data[:4]
    zeros = [not byte for byte in start]
    for form, encoding in (
        ([False, True, True, True], "utf-32-le"),
        ([True, True, True, False], "utf-32-be"),
        ([False, True, False, True], "utf-16-le"),
        ([True, False, True, False], "utf-16-be"),
    ):
        if zeros == form:
            return data.decode(encoding, "replace")
    declared = _DECLARED.search(data[:_HEAD])
    for encoding in ("utf-8", *([declared[1].decode()] if declared else [])):
        try:
            # An encoding that is not one of ASCII's kin cannot be that of bytes that say "<?xml".
            if encoding == "utf-8" or _ASCII.decode(encoding) == _ASCII.decode():
                return data.decode(encoding)
        except (LookupError, ValueError):
            continue
    return data.decode("utf-8", _STRAY)


def _stray(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are not UTF-8, as Windows writes most of Europe's languages."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


_STRAY = "hmer.stray"
codecs.register_error(_STRAY, _stray)


def _kind(text: str) -> str:
    """What a text without ink is, and what to do."""
    begin = text[:_HEAD].lower()
    if not text:
        return "there is no text in it; fetch it again"
    if "<html" in begin or "<!doctype html" in begin:
        return "a web page, as of an error or a login; fetch the file again"
    if _BINARY.search(text[:_HEAD]):
        return "the bytes are no text; if it is a picture, give it its own ending, such as .png"
    root = _ROOT.match(text)
    if root:
        return f"the root element is <{root[1]}> and there is no <ink> in it; export it as InkML"
    return "a text without an <ink> element; export it as InkML"
