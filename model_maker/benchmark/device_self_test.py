"""The self-test of a model on an Android device: runs its images through `benchmark_model`, once per delegate.

The tool reads input values from a file, and newer builds write output values to a file; for older builds a note says
that they do not.
"""

import base64
import binascii
import tempfile
from pathlib import Path

import numpy as np

from model_maker.benchmark.adb import DeviceError, DeviceLost
from model_maker.benchmark.phone import MODEL, Workbench
from model_maker.errors import ModelError
from model_maker.packaging import self_test
from model_maker.packaging.self_test import SelfTest
from model_maker.tflite import inspection, metadata
from model_maker.tflite.inspection import TensorFacts

_INPUT, _OUTPUT = "self_test_input", "self_test_output"


class DeviceSelfTest:
    """The self-test of one model on a device, which is loaded on the workbench.

    Raises:
      ModelError: the self-test is damaged.
    """

    def __init__(self, model: Path, bench: Workbench):
        content = model.read_bytes()
        self._bench, self._test = bench, self_test.get(content)
        self._said: dict[str, str] = {}
        if self._test:
            facts, info = inspection.inspect(content), metadata.read(content)
            self._image, self._scores = facts.inputs[0], facts.outputs[0]
            self._normalization = info.normalization

    def note(self, delegate: str, flag: str, *, timeout_s: float) -> str:
        """Runs the images on a delegate on the first call for it; returns a note, empty without a self-test.

        Raises:
          DeviceLost: the device was disconnected.
        """
        if self._test is None:
            return ""
        if delegate not in self._said:
            try:
                self._said[delegate] = self._judged(self._test, flag, timeout_s)
            except DeviceLost:
                raise
            except DeviceError as error:
                self._said[delegate] = f"the self-test did not run: {error}"
        return self._said[delegate]

    def _judged(self, test: SelfTest, flag: str, timeout_s: float) -> str:
        rows = []
        for picture in test.pictures:
            found = self._run(picture, flag, timeout_s)
            if found is None:
                return "the self-test did not run: this benchmark_model writes no output; use a newer build"
            rows.append(found)
        deviation = test.deviation(np.stack(rows))
        said = f"scores differ by {deviation:.3f}, {test.tolerance:g} allowed"
        return f"self-test passed: {said}" if deviation <= test.tolerance else f"SELF-TEST FAILED: {said}"

    def _run(self, picture: np.ndarray, flag: str, timeout_s: float) -> np.ndarray | None:
        """Returns the scores of one image, float32 [C]; None if the tool wrote none."""
        pixels = picture
        if self._image.dtype == "float32":
            if self._normalization is None:
                raise ModelError("it takes float input and does not state its normalization.")
            pixels = self._normalization(picture).astype(np.float32)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / _INPUT
            file.write_bytes(np.ascontiguousarray(pixels).tobytes())
            self._bench.put(file, _INPUT)
        arguments = [
            f"--graph={MODEL}",
            "--num_threads=1",
            "--num_runs=1",
            "--warmup_runs=1",
            "--min_secs=0",
            "--warmup_min_secs=0",
            "--input_layer=image",
            f"--input_layer_shape={','.join(map(str, self._image.shape))}",
            f"--input_layer_value_files=image:{self._bench.place(_INPUT)}",
            f"--output_filepath={self._bench.place(_OUTPUT)}",
            flag,
        ]
        self._bench.execute(arguments, timeout_s=timeout_s)
        return _scores(self._bench.take(_OUTPUT), self._scores)


def _scores(text: str, facts: TensorFacts) -> np.ndarray | None:
    """Reads a base64 tensor; None if it does not match the output."""
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        return None
    values = (
        np.frombuffer(raw, np.dtype(facts.dtype)) if len(raw) % np.dtype(facts.dtype).itemsize == 0 else np.empty(0)
    )
    if len(values) != facts.shape[-1]:
        return None
    if facts.dtype == "float32":
        return values
    return (values.astype(np.float32) - (facts.zero_point or 0)) * np.float32(facts.scale or 1)
