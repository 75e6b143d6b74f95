"""The `benchmark_model` of the loopback device: a script that really runs LiteRT on the model it is given.

It prints the official lines, in microseconds, and keeps its own record of every sample, so that a test can compare what
was read with what was measured. It also plays the ways in which the tool fails on phones.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def tiny_model(*, inputs: int = 64, outputs: int = 32) -> bytes:
    """Builds a `.tflite` with one FULLY_CONNECTED operator, float32 [1, inputs] -> [1, outputs]."""
    import flatbuffers
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    weights = np.linspace(-1, 1, inputs * outputs, dtype=np.float32)
    buffers = [schema.BufferT(), schema.BufferT()]
    buffers[1].data = np.frombuffer(weights.tobytes(), np.uint8)
    tensors = []
    for name, shape, buffer in (("in", [1, inputs], 0), ("weights", [outputs, inputs], 1), ("out", [1, outputs], 0)):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name.encode(), shape, buffer
        tensor.type = schema.TensorType.FLOAT32
        tensors.append(tensor)
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, -1], [2]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    graph = schema.SubGraphT()
    graph.tensors, graph.operators, graph.inputs, graph.outputs = tensors, [operator], [0], [2]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@dataclasses.dataclass(frozen=True)
class BenchmarkScript:
    """A `benchmark_model` that is a script; see `run_benchmark`.

    Attributes:
      path: the file to push.
      record: one JSON line for each run: its arguments and raw samples.
    """

    path: Path
    record: Path

    def runs(self) -> list[dict]:
        """Returns what the script itself measured, in the order of the runs."""
        return [json.loads(line) for line in self.record.read_text().splitlines()] if self.record.exists() else []


def write_benchmark(folder: Path, behaviours: dict[str, str] | None = None) -> BenchmarkScript:
    """Writes the script.

    Args:
      folder: where to.
      behaviours: what it does for a delegate instead of running well; see `run_benchmark`.
    """
    script = BenchmarkScript(folder / "benchmark_model", folder / "record.jsonl")
    script.path.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import loopback_benchmark\n"
        f"sys.exit(loopback_benchmark.run_benchmark(sys.argv[1:], {str(script.record)!r}, {behaviours or {}!r}))\n"
    )
    return script


def run_benchmark(arguments: Sequence[str], record: str, behaviours: dict[str, str]) -> int:
    """Does what the official tool does, and prints what it prints (INFO goes to stderr there too).

    With `output_filepath` it writes the output there, labels the other way round if `wrong`, and not at all if `old`.
    Other behaviours: `partial` and `refused` (runs, and says so of the delegate), `fails` (a delegate that cannot
    be applied), `crashes` (a segmentation fault), `hangs`, `silent` (exits well without a word).
    """
    flags = dict(argument[2:].split("=", 1) for argument in arguments)
    delegate = next((name for name in ("nnapi", "gpu", "xnnpack") if flags.get(f"use_{name}") == "true"), "none")
    behaviour = behaviours.get(delegate, "")
    if behaviour == "silent":
        return 0
    _say("STARTING!", f"Num threads: [{flags['num_threads']}]", f"Graph: [{flags['graph']}]")
    if behaviour == "crashes":
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGSEGV)
    if behaviour == "hangs":
        time.sleep(600)
    if behaviour == "fails":
        print(
            "ERROR: NN API returned error ANEURALNETWORKS_OP_FAILED at line 3779 while completing NNAPI compilation.\n"
        )
        print(f"ERROR: Restored original execution plan after delegate application failure.\nERROR: Failed to apply "
              f"{delegate.upper()} delegate.\nERROR: Benchmarking failed.")  # fmt: skip
        return 1
    samples = _measure(flags)
    if (target := flags.get("output_filepath")) and behaviour != "old":
        output = samples.pop("output")
        Path(target).write_bytes((output[..., ::-1] if behaviour == "wrong" else output).tobytes())
    samples.pop("output", None)
    for line in _delegation(delegate, behaviour, samples.pop("kernels")):
        _say(line)
    _say_results(samples, flags)
    with open(record, "a") as file:
        file.write(json.dumps({"arguments": list(arguments), "delegate": delegate} | samples) + "\n")
    return 0


def _measure(flags: dict[str, str]) -> dict:
    """Runs the model and returns every sample in microseconds, and the delegate kernels in the graph."""
    import numpy as np
    from ai_edge_litert import interpreter as litert

    start = time.perf_counter_ns()
    kinds = litert.OpResolverType
    plain = flags.get("use_xnnpack") == "false"
    interpreter = litert.Interpreter(
        model_path=flags["graph"],
        num_threads=int(flags["num_threads"]),
        experimental_op_resolver_type=kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES if plain else kinds.BUILTIN,
    )
    interpreter.allocate_tensors()
    init = (time.perf_counter_ns() - start) // 1000
    detail = interpreter.get_input_details()[0]
    values = np.ones(detail["shape"], detail["dtype"])
    if given := flags.get("input_layer_value_files"):
        values = np.fromfile(given.partition(":")[2], detail["dtype"]).reshape(detail["shape"])
    interpreter.set_tensor(detail["index"], values)

    def once() -> int:
        begin = time.perf_counter_ns()
        interpreter.invoke()
        return (time.perf_counter_ns() - begin) // 1000

    kernels = sum(op["op_name"] == "DELEGATE" for op in interpreter._get_ops_details())
    measured = {
        "kernels": kernels,
        "cores": sorted(os.sched_getaffinity(0)),
        "init": init,
        "warmup": [once() for _ in range(int(flags["warmup_runs"]))],
        "inference": [once() for _ in range(int(flags["num_runs"]))],
    }
    return measured | {"output": interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).copy()}


def _delegation(delegate: str, behaviour: str, kernels: int) -> list[str]:
    name = delegate.upper()
    if delegate == "none":
        return []
    if behaviour == "refused":
        return [f"Though {name} delegate is explicitly applied, the model graph will not be executed by the delegate."]
    applied = f"Explicitly applied {name} delegate, and the model graph will be"
    if behaviour == "partial":
        return [f"{applied} partially executed by the delegate w/ 3 delegate kernels."]
    if kernels > 1:
        return [f"{applied} partially executed by the delegate w/ {kernels} delegate kernels."]
    return [f"{applied} completely executed by the delegate."] if kernels == 1 else []


def _say_results(samples: dict, flags: dict[str, str]) -> None:
    _say(f"Running benchmark for at least {flags['warmup_runs']} iterations and at least 0.5 seconds but terminate if "
         "exceeding 150 seconds.", _count(samples["warmup"]), "")  # fmt: skip
    _say(f"Running benchmark for at least {flags['num_runs']} iterations and at least 1 seconds but terminate if "
         "exceeding 150 seconds.", _count(samples["inference"]), "")  # fmt: skip
    warmup, inference = (sum(samples[name]) / len(samples[name]) for name in ("warmup", "inference"))
    _say(
        f"Inference timings in us: Init: {samples['init']}, First inference: {samples['warmup'][0]}, "
        f"Warmup (avg): {warmup:g}, Inference (avg): {inference:g}",
        "Memory footprint delta from the start of the tool (MB): init=3.5 overall=5.25",
    )
    if flags.get("enable_op_profiling") == "true":
        _say("Operator-wise Profiling Info for Regular Benchmark Runs:")
        print("============================== Summary by node type ==============================", file=sys.stderr)
        print("\t [Node type]\t [count]\t [avg ms]\t [avg %]\t [cdf %]\t [mem KB]\t[times called]", file=sys.stderr)
        print("\t FULLY_CONNECTED\t 1\t 0.002\t100.000%\t100.000%\t 0.000\t 1\n", file=sys.stderr)
        print(f"Timings (microseconds): {_count([9] * 5)}\nMemory (bytes): count=0", file=sys.stderr)


def _count(samples: list[int]) -> str:
    ordered, count = sorted(samples), len(samples)
    p5, median, p95 = (ordered[count * percent // 100] for percent in (5, 50, 95))
    tail = f"p5={p5} median={median} p95={p95}"
    if ordered[0] == ordered[-1]:
        return f"count={count} curr={samples[-1]}{'(all same)' if count > 1 else ''} {tail}"
    mean = sum(samples) / count
    std = int((sum((sample - mean) ** 2 for sample in samples) / count) ** 0.5)
    ends = f"first={samples[0]} curr={samples[-1]} min={ordered[0]} max={ordered[-1]}"
    return f"count={count} {ends} avg={mean:g} std={std} {tail}"


def _say(*lines: str) -> None:
    for line in lines:
        print(f"INFO: {line}" if line else "", file=sys.stderr)
