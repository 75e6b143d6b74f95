"""The README.md beside each exported model: what goes in, what comes out, how it was checked, how it is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_maker.deploy import markdown
from model_maker.deploy.exporters.source import Source

if TYPE_CHECKING:
    from model_maker.deploy.export import Exported

TFLITE = """```python
from model_maker import Classifier

Classifier("model.tflite").predict("photo.jpg")
```"""
SAVED_MODEL = """```python
import tensorflow as tf

model = tf.saved_model.load(".")
probabilities = model.signatures["serving_default"](image=pixels)["probabilities"]
```"""
KERAS = """```python
import keras

probabilities = keras.saving.load_model("model.keras")(pixels)
```"""
ONNX = """```python
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
[probabilities] = session.run(None, {session.get_inputs()[0].name: pixels})
```"""
OPENVINO = """```python
import openvino

compiled = openvino.Core().compile_model("model.xml", "CPU")
probabilities = compiled(pixels)[0]
```"""
TFJS = """```javascript
const model = await tf.loadGraphModel('model.json');
const pixels = tf.image.resizeBilinear(tf.browser.fromPixels(image), [size, size]).expandDims(0).toFloat();
const probabilities = model.predict(pixels);
```"""
C = """```cpp
#include "model.h"

const tflite::Model* model = tflite::GetModel(model_data);
```"""
EDGE_TPU = """```console
edgetpu_compiler model.tflite
```"""
CORE_ML = """```swift
let model = try VNCoreMLModel(for: MLModel(contentsOf: compiledURL))
let request = VNCoreMLRequest(model: model)
request.imageCropAndScaleOption = .scaleFill
```"""


def render(entry: Exported, source: Source, *, contract: str, usage: str, io: str) -> str:
    """Returns Markdown.

    Args:
      entry: what was made and measured.
      source: what it was made from.
      contract: a line on the input.
      usage: an example.
      io: the type of the edges, where there was a choice.
    """
    info, size, count = source.info, source.base.image_size, len(source.info.labels)
    edges = f", {io}" if io else ""
    unchecked = f" It was {entry.note}." if entry.note else ""
    share = 100 * (entry.same_top1 or 0)
    return f"""# {markdown.text(info.name or "Classifier")} as {entry.format}

{markdown.text(info.description or f"Image classifier for {count} classes.")}

- Input: `[N, {size}, {size}, 3]`{edges}, the whole photo stretched to the square, {contract}
- N is 1 in `.tflite` and in what is made of one; elsewhere any.
- Output: `[N, {count}]`{edges}, probabilities in the order of `labels.txt`.
- Checked on {len(source.probes)} photos against the float `.tflite`: a probability differs by at most
  {entry.difference:.2g}, the answer is the same on {share:.0f} %.{unchecked}
- Licence: {markdown.text(info.licence or "not stated")}.

{usage}
"""
