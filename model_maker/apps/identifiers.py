"""Labels and titles as code: identifiers that a language takes, each once, and string literals."""

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence

from model_maker.errors import DataError

_LETTERS = ("Lu", "Ll", "Lt", "Lo", "Nd")

_KOTLIN = """as break class continue do else false for fun if in interface is null object package return super this
    throw true try typealias typeof val var when while"""
_SWIFT = """as associatedtype async await break case catch class continue default defer deinit do else enum extension
    fallthrough false fileprivate for func guard if import in init inout internal is let nil open operator
    precedencegroup private protocol public repeat rethrows return self static struct subscript super switch throw
    throws true try typealias var where while
    allCases hash hashValue none rawValue some text type"""
# What the templates call their own, or import.
_CLASSES = """Any Array AutoCloseable Bitmap Bool ByteBuffer ByteOrder CGColorSpace CGContext CGImage CGRect
    ByteData CaseIterable Data DataType Double Error Failure False Float Float32Array Float32List FloatArray Image
    ImageOps Int Interpreter InterpreterApi InterpreterOptions LABELS Label List Map Math NamedTuple None Nothing
    Number Object OffscreenCanvas Photo Prediction Promise SIZE Self Set String TEXTS THRESHOLD Tensor TensorType
    True Type UInt8 Uint8Array Uint8List Unit"""
_DART = """abstract as assert async await break case catch class const continue covariant default deferred do
    dynamic else enum export extends extension external factory false final finally for get hide if implements
    import in interface is late library mixin new null of on operator part required rethrow return set show static
    super switch sync this throw true try type typedef var void when while with yield hashCode index name
    noSuchMethod runtimeType text toString values"""
KOTLIN_WORDS, SWIFT_WORDS = frozenset(_KOTLIN.split()), frozenset(_SWIFT.split())
DART_WORDS = frozenset(_DART.split())
_TAKEN_CLASSES = frozenset(_CLASSES.split())


def names(labels: Sequence[str], join: Callable[[Sequence[str]], str], taken: Collection[str] = ()) -> list[str]:
    """Returns an identifier for each label, each once and none of `taken`; one without letters is named by its number.

    `join` makes one of words, `upper` or `camel`.
    """
    found: list[str] = []
    seen = set(taken)
    for index, label in enumerate(labels):
        parts = words(label)
        if not parts or parts[0][0].isdecimal():
            parts = ["label", *(parts or [str(index)])]
        first = name = join(parts)
        count = 2
        while name in seen:
            name, count = f"{first}_{count}", count + 1
        seen.add(name)
        found.append(name)
    return found


def words(text: str) -> list[str]:
    """Splits text where a character is no letter or digit; accents go, other alphabets stay."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    kept = "".join(c if unicodedata.category(c) in _LETTERS else " " for c in plain)
    return unicodedata.normalize("NFC", kept).split()


def upper(parts: Sequence[str]) -> str:
    """FRENCH_BULLDOG."""
    # Of what upper() makes of a letter, some is no letter any more.
    return "_".join(words(" ".join(parts).upper()))


def camel(parts: Sequence[str]) -> str:
    """Returns frenchBulldog."""
    return parts[0].lower() + "".join(part[:1].upper() + part[1:] for part in parts[1:])


def ascii_camel(parts: Sequence[str]) -> str:
    """Returns frenchBulldog, of letters that Dart takes; "label" where there are none."""
    kept = [part for part in (re.sub(r"[^A-Za-z0-9]", "", part) for part in parts) if part]
    return camel(kept) if kept and not kept[0][0].isdecimal() else camel(["label", *kept])


def class_name(title: str) -> str:
    """Returns the name of a class for a model's title, as FlowersClassifier; ASCII."""
    parts = re.findall(r"[A-Za-z0-9]+", " ".join(words(title)))
    name = "".join(part[:1].upper() + part[1:] for part in parts)
    return f"{'' if name[:1].isalpha() else 'Image'}{name}".removesuffix("Classifier") + "Classifier"


def quoted(text: str, escape: Callable[[str], str], special: str = "") -> str:
    """Returns a string literal; what is invisible or turns the line around is written as a code.

    Args:
      escape: writes a character as a code.
      special: characters beside backslash and quote that mean something inside a string.
    """
    marked = f'\\"{special}'
    parts = (f"\\{c}" if c in marked else c if c.isprintable() else escape(c) for c in text)
    return f'"{"".join(parts)}"'


def one_line(text: str) -> str:
    """Returns text that may stand in a comment."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def utf16(character: str) -> str:
    """Returns a code as Kotlin and JavaScript write it."""
    data = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{data[at]:02x}{data[at + 1]:02x}" for at in range(0, len(data), 2))


def check_class(name: str) -> str:
    """Returns a class's name.

    Raises:
      DataError: it is none, or one that the code uses itself.
    """
    if not re.fullmatch(r"[A-Z][A-Za-z0-9_]*", name) or name in _TAKEN_CLASSES:
        raise DataError(f"`name={name!r}`: pass the name of a class, as FlowersClassifier.")
    return name


def check_package(package: str) -> str:
    """Returns a Kotlin package.

    Raises:
      DataError: it is none.
    """
    parts = package.split(".")
    if not all(re.fullmatch(r"[a-z][A-Za-z0-9_]*", part) for part in parts) or KOTLIN_WORDS & set(parts):
        raise DataError(f"`package={package!r}`: pass a Kotlin package, as com.example.app.")
    return package
