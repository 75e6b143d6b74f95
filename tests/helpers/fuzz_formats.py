"""Sound models of foreign formats, archives and lists, as folders of files, and ways to damage one file of them.

A case is a zip of a folder; its comment says what is opened.
"""

import gzip
import io
import json
import tarfile
import zipfile

import numpy as np
from fuzz_photos import encode, pixels
from hypothesis import strategies as st

SIZE = 16
PICTURES = {f"{name}/{number}.png": encode(pixels(), "PNG") for name in ("rose", "tulip") for number in range(3)}
EDGES = [0, 1, -1, 2, 127, 255, 65536, 1 << 20, (1 << 31) - 1, -(1 << 31), 1 << 40, (1 << 63) - 1]
TEXTS = [
    "",
    "\0",
    "../x",
    "/etc/passwd",
    "\x1b[2J",
    "a\nb",
    "=1+1",
    "\ud800",
    "x" * 70_000,
    "..\\..\\x",
    "C:\\x",
    "é",
    ".",
]
PLACE = st.floats(0, 1, exclude_max=True)


def case(files, target):
    """Packs {name: content} with the name of what is opened."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.comment = target.encode()
    return whole.getvalue()


def damaged(files, target, how, edited=None):
    """A strategy: cases in which one file is damaged, by bytes or, where `edited` knows its kind, by fields."""

    def ways(name):
        own = edited(name, files[name]) if edited else None
        return how(files[name]) if own is None else st.one_of(how(files[name]), own)

    names = st.sampled_from(sorted(files))
    changed = names.flatmap(lambda name: ways(name).map(lambda content: {**files, name: content}))
    return changed.map(lambda found: case(found, target))


def edited_json(content):
    """A strategy: JSON with one to three of its values set to something else."""
    edits = st.lists(st.tuples(PLACE, st.one_of(st.sampled_from(EDGES), st.sampled_from(TEXTS), st.none())), max_size=3)

    def edit(found):
        tree = json.loads(content)
        for place, value in found:
            spots = list(_spots(tree))
            owner, key = spots[int(place * len(spots))]
            owner[key] = value
        return json.dumps(tree).encode()

    return edits.map(edit)


def _spots(tree):
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _spots(value)


def edited_message(content, kind):
    """A strategy: a message of Protobuf with one to three of its fields set to something else, removed or repeated."""
    edits = st.lists(st.tuples(PLACE, PLACE, PLACE), min_size=1, max_size=3)

    def edit(found):
        message = kind()
        message.ParseFromString(content)
        for place, choice, where in found:
            spots = list(_message_spots(message))
            _edit_field(*spots[int(place * len(spots))], choice, where)
        return message.SerializeToString()

    return edits.map(edit)


def _message_spots(message):
    for field, value in message.ListFields():
        yield message, field
        if field.type == field.TYPE_MESSAGE and not field.message_type.GetOptions().map_entry:
            for inner in value if hasattr(value, "append") or hasattr(value, "add") else [value]:
                yield from _message_spots(inner)
        elif field.type == field.TYPE_MESSAGE and hasattr(next(iter(value.values()), None), "ListFields"):
            for inner in value.values():
                yield from _message_spots(inner)


def _edit_field(message, field, choice, where):
    value = getattr(message, field.name)
    repeated = hasattr(value, "append") or hasattr(value, "add")
    try:
        if choice < 0.2:
            message.ClearField(field.name)
        elif repeated and len(value) and choice < 0.4:
            value.extend([value[int(where * len(value))]] * 20)
        elif repeated and len(value) and choice < 0.5:
            del value[int(where * len(value))]
        elif field.type == field.TYPE_MESSAGE:
            message.ClearField(field.name)
        else:
            other = _other(field, where)
            if repeated and len(value):
                value[int(choice * len(value))] = other
            else:
                setattr(message, field.name, other)
    except (ValueError, TypeError, AttributeError):  # what this field cannot hold
        message.ClearField(field.name)


def _other(field, where):
    if field.cpp_type == field.CPPTYPE_STRING:
        text = TEXTS[int(where * len(TEXTS))]
        return text.encode(errors="surrogatepass") if field.type == field.TYPE_BYTES else text
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return float("nan") if where < 0.5 else 1e38
    return EDGES[int(where * len(EDGES))]


def onnx_files():
    """A convolution, its mean and a softmax, with the weights in a file beside it."""
    import onnx
    from onnx import helper, numpy_helper

    random, kind = np.random.default_rng(0), onnx.TensorProto.FLOAT
    kernel = numpy_helper.from_array(random.normal(size=(3, 3, 3, 3)).astype(np.float32), "kernel")
    nodes = [
        helper.make_node("Transpose", ["image"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first", "kernel"], ["features"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["features"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Softmax", ["flat"], ["scores"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, kind, shape)
        for name, shape in (("image", [1, SIZE, SIZE, 3]), ("scores", [1, 3]))
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [kernel])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"labels": '["a", "b", "c"]'})
    return {"model.onnx": model.SerializeToString(), "labels.txt": b"a\nb\nc\n"}


def openvino_files(folder):
    import openvino
    from openvino import opset13 as ops

    random = np.random.default_rng(0)
    image = ops.parameter([1, SIZE, SIZE, 3], np.float32, name="image")
    weights = ops.constant(random.normal(size=(3, 3)).astype(np.float32))
    mean = ops.reduce_mean(image, ops.constant(np.array([1, 2])), keep_dims=False)
    model = openvino.Model([ops.softmax(ops.matmul(mean, weights, False, False), 1)], [image], "m")
    openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
    (folder / "labels.txt").write_text("a\nb\nc\n")
    return read(folder)


def tensorflow_files(folder):
    """{format: (files, what is opened)}, of one small network."""
    import keras
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from model_maker.exporters import tfjs

    keras.utils.set_random_seed(0)
    layers = [keras.Input((SIZE, SIZE, 3), 1), keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()]
    model = keras.Sequential([*layers, keras.layers.Dense(3, "softmax")])
    for name in ("keras", "saved", "web"):
        (folder / name).mkdir()
        (folder / name / "labels.txt").write_text("a\nb\nc\n")
    model.save(folder / "keras/model.keras")

    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.kernel = tf.Variable(np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32))

        @tf.function(input_signature=[tf.TensorSpec((1, SIZE, SIZE, 3))])
        def __call__(self, image):
            return {"probabilities": tf.nn.softmax(tf.reduce_mean(image, (1, 2)) @ self.kernel)}

    module = Module()
    function = module.__call__
    tf.saved_model.save(module, str(folder / "saved"), signatures={"serving_default": function})
    tfjs.write(convert_variables_to_constants_v2(function.get_concrete_function()), ["a", "b", "c"], folder / "web")
    return {
        "keras": (read(folder / "keras"), "model.keras"),
        "saved_model": (read(folder / "saved"), "."),
        "tfjs": (read(folder / "web"), "model.json"),
    }


def read(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edited_model(name, content):
    """The strategy for fields of a file of a model, or None where only its bytes can be damaged."""
    if name.endswith(".onnx"):
        import onnx

        return edited_message(content, onnx.ModelProto)
    if name.endswith("saved_model.pb"):
        from tensorflow.core.protobuf import saved_model_pb2

        return edited_message(content, saved_model_pb2.SavedModel)
    if name.endswith(".json"):
        return edited_json(content)
    return edited_zip(content) if name.endswith(".keras") else None


def edited_zip(content):
    """A strategy: a zip in which a file of JSON has other values."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    names = st.sampled_from([name for name in files if name.endswith(".json")])
    return names.flatmap(lambda name: edited_json(files[name]).map(lambda new: _zipped({**files, name: new})))


def _zipped(files, packing=zipfile.ZIP_DEFLATED):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", packing) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return whole.getvalue()


def _tarred(files, mode="w", odd=()):
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode=mode) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for name, kind, link in odd:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, link
            archive.addfile(entry)
    return whole.getvalue()


def archives():
    """{name: content}, of pictures in class folders."""
    odd = [
        *(("rose/link.png", tarfile.SYMTYPE, "/etc/passwd"), ("rose/hard.png", tarfile.LNKTYPE, "rose/0.png")),
        *(("rose/pipe.png", tarfile.FIFOTYPE, ""), ("rose/zero.png", tarfile.CHRTYPE, ""), ("../x.png", b"0", "")),
    ]
    return {
        "data.zip": _zipped(PICTURES),
        "stored.zip": _zipped(PICTURES, zipfile.ZIP_STORED),
        "data.tar": _tarred(PICTURES),
        "odd.tar": _tarred(PICTURES, odd=odd),
        "data.tar.gz": _tarred(PICTURES, "w:gz"),
        "data.tar.xz": _tarred(PICTURES, "w:xz"),
        "data.tgz": gzip.compress(_tarred(PICTURES)),
    }


def lists():
    """{name: content}, of those pictures."""
    rows = [(name, name.split("/")[0], "train") for name in PICTURES]
    table = "\n".join(["path,label,split", *map(",".join, rows)]).encode()
    objects = [json.dumps(dict(zip(("path", "label", "split"), row, strict=True))) for row in rows]
    return {
        "list.csv": table,
        "list.tsv": table.replace(b",", b"\t"),
        "semicolons.csv": table.replace(b",", b";"),
        "marked.csv": b"\xef\xbb\xbf" + table.replace(b"\n", b"\r\n"),
        "wide.csv": table.decode().encode("utf-16"),
        "_classes.csv": b"filename,rose,tulip\n"
        + b"".join(f"{name},{int(label == 'rose')},{int(label == 'tulip')}\n".encode() for name, label, _ in rows),
        "list.jsonl": "\n".join(objects).encode(),
    }


def worded(content):
    """A strategy: text with words put into it that mean something to somebody."""
    words = [text.encode(errors="surrogatepass") for text in TEXTS]
    words += [
        b",",
        b'"',
        b"\n",
        b"\r",
        b";",
        b"\t",
        b"\0",
        b"http://127.0.0.1:9/x.png",
        b"s3://x/y",
        b"file:///etc/passwd",
    ]
    words += [b"\\u0000", b"\\ud800", b"{", b"[" * 3000, b"1e999", b"/dev/zero", b"../" * 50, b"a|b", b"\xff"]
    puts = st.lists(st.tuples(PLACE, st.sampled_from(words)), min_size=1, max_size=3)

    def put(found):
        text = bytearray(content)
        for place, word in found:
            at = int(place * len(text))
            text[at:at] = word
        return bytes(text)

    return puts.map(put)
