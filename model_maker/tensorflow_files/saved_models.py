"""Loads untrusted SavedModel folders after stripping them to inference and checking them.

A SavedModel also contains functions for saving and restoring, which write and read files. TensorFlow's loader does not
need them for the variables of an image model, so they are removed, and no function is exempt from the check by its
name.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from model_maker.errors import BackboneError
from model_maker.system import files
from model_maker.tensorflow_files import allowed_operators

_VARIABLES = ("VarHandleOp", "VariableV2", "Variable")


def load(folder: str, address: str) -> Any:
    """Loads a SavedModel like `tf.saved_model.load`; messages name it by the user's address.

    Raises:
      BackboneError: its inference functions contain an operator that is not allowed.
    """
    import tensorflow as tf

    model = _parsed(Path(folder))
    [graph] = model.meta_graphs
    if graph.HasField("object_graph_def"):
        _keep_functions(graph)
    else:
        _freeze(graph, Path(folder))
    allowed_operators.check_graph(graph.graph_def, address)
    with files.temporary_directory() as aside:
        (aside / "saved_model.pb").write_bytes(model.SerializeToString())
        _show(Path(folder).resolve() / "variables", aside / "variables")
        return tf.saved_model.load(str(aside))


def _parsed(folder: Path) -> Any:
    """Returns the SavedModel with only its graph for serving."""
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((folder / "saved_model.pb").read_bytes())
    graphs = [graph for graph in model.meta_graphs if "train" not in graph.meta_info_def.tags] or model.meta_graphs
    if not graphs:
        raise BackboneError(f"{folder / 'saved_model.pb'} has no graph, so it is not a SavedModel.")
    chosen = next((graph for graph in graphs if "serve" in graph.meta_info_def.tags), graphs[0])
    kept = type(chosen).FromString(chosen.SerializeToString())
    kept.ClearField("saver_def")
    kept.ClearField("collection_def")
    del model.meta_graphs[:]
    model.meta_graphs.append(kept)
    return model


def _show(variables: Path, target: Path) -> None:
    """Links the variables to another folder, or copies them: most Windows users cannot create links."""
    if not variables.is_dir():
        return
    try:
        os.symlink(variables, target, target_is_directory=True)
    except OSError:
        shutil.copytree(variables, target)


def _keep_functions(meta: Any) -> None:
    """Removes the main graph, which the loader ignores, and functions that no object of the model calls."""
    graph = meta.graph_def
    graph.ClearField("node")
    # Gradients count, too: the loader creates functions from them.
    roots = {*meta.object_graph_def.concrete_functions}
    roots.update(entry.gradient_func for entry in graph.library.gradient)
    roots.update(entry.gradient_func for entry in graph.library.registered_gradients)
    _drop_functions(graph, roots)


def _drop_functions(graph: Any, roots: set[str]) -> None:
    functions = {function.signature.name: function for function in graph.library.function}
    waiting, kept = list(roots), set()
    while waiting:
        name = waiting.pop()
        if name in functions and name not in kept:
            kept.add(name)
            waiting += _called(functions[name].node_def)
    left = [function for name, function in functions.items() if name in kept]
    copies = [type(function).FromString(function.SerializeToString()) for function in left]
    del graph.library.function[:]
    graph.library.function.extend(copies)


def _called(nodes: Iterable[Any]) -> Iterator[str]:
    for node in nodes:
        yield node.op  # a function may be called by its name
        for value in node.attr.values():
            yield value.func.name
            for function in value.list.func:
                yield function.name


def _freeze(meta: Any, folder: Path) -> None:
    """Keeps the part of a TensorFlow 1 graph that its signatures need, with the values of its variables inside."""
    import tensorflow as tf

    meta.ClearField("asset_file_def")
    graph = meta.graph_def
    nodes = {node.name: node for node in graph.node}
    waiting = [_node(edge.name) for signature in meta.signature_def.values() for edge in signature.outputs.values()]
    waiting += [_node(edge.name) for signature in meta.signature_def.values() for edge in signature.inputs.values()]
    kept = set()
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in kept:
            kept.add(name)
            waiting += [] if nodes[name].op in _VARIABLES else [_node(edge) for edge in nodes[name].input]
    needed = [type(node).FromString(node.SerializeToString()) for node in graph.node if node.name in kept]
    variables = {node.name for node in needed if node.op in _VARIABLES}
    values = {}
    if variables:
        reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
        values = {name: reader.get_tensor(name) for name in variables}
    for node in needed:
        if node.name in variables:
            node.CopyFrom(_constant(node.name, values[node.name]))
        elif node.op == "ReadVariableOp" and _node(node.input[0]) in variables:
            kind = node.attr["dtype"].type
            node.op = "Identity"
            node.attr.clear()
            node.attr["T"].type = kind
    graph.ClearField("node")
    graph.node.extend(needed)
    _drop_functions(graph, set(_called(needed)))


def _constant(name: str, value: Any) -> Any:
    import tensorflow as tf

    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    node.attr["dtype"].type = node.attr["value"].tensor.dtype
    return node


def _node(edge: str) -> str:
    return edge.removeprefix("^").split(":")[0]
