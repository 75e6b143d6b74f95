"""The README.md of each exported model: input, output, checks, and how to run it."""

from model_maker.exporters.exported import Exported
from model_maker.fitting import CROP, LETTERBOX, STRETCH
from model_maker.packaging.export_source import ExportSource
from model_maker.report import pages

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
const pixels = tf.image.resizeBilinear(tf.browser.fromPixels(image), [height, width]).expandDims(0).toFloat();
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


# Apple Vision's options for each way of fitting photos.
_VISION = {STRETCH: ".scaleFill", LETTERBOX: ".scaleFit", CROP: ".centerCrop"}
_TENSORFLOW = {
    STRETCH: "tf.image.resizeBilinear(tf.browser.fromPixels(image), [height, width])",
    LETTERBOX: "tf.tensor(letterboxed, [height, width, 3])",
    CROP: "tf.tensor(cropped, [height, width, 3])",
}


def _fitted(usage: str, resize: str) -> str:
    """Adapts an example to models whose photos are not stretched."""
    for words in (_VISION, _TENSORFLOW):
        usage = usage.replace(words[STRETCH], words[resize])
    return usage


def render(entry: Exported, source: ExportSource, *, contract: str, usage: str, io: str) -> str:
    """Returns Markdown: the export and its measurements, a line on the input, example code."""
    return pages.render(
        "export_card.md",
        entry=entry,
        info=source.info,
        fit=source.base.fit,
        probes=len(source.probes),
        contract=contract,
        usage=_fitted(usage, source.info.resize),
        io=io,
    )
