"""The published tutorial of TFLite Model Maker for image classification, version 0.4, call by call.

Only its imports are changed; pictures are looked at without a plot, photos and the model of another address are those
that are given, and what is printed is for the test that runs this.
"""

import sys

import tensorflow as tf

from model_maker.compat import image_classifier, model_spec
from model_maker.compat.config import ExportFormat, QuantizationConfig
from model_maker.compat.image_classifier import DataLoader

assert tf.__version__.startswith("2")
image_path, inception_v3 = sys.argv[1:]

# The simple example.
data = DataLoader.from_folder(image_path)
train_data, test_data = data.split(0.9)
model = image_classifier.create(train_data)
loss, accuracy = model.evaluate(test_data)
model.export(export_dir=".")
print("simple", loss, accuracy)

# Step 1: load the photos, in three parts, and look at some.
data = DataLoader.from_folder(image_path)
train_data, rest_data = data.split(0.8)
validation_data, test_data = rest_data.split(0.5)
for image, label in data.gen_dataset().unbatch().take(25):
    assert image.numpy().ndim == 3 and data.index_to_label[label.numpy()]

# Steps 2 and 3: train and evaluate.
model = image_classifier.create(train_data, validation_data=validation_data)
model.summary()
loss, accuracy = model.evaluate(test_data)
print("detailed", loss, accuracy)
predicts = model.predict_top_k(test_data)
right = 0
for i, (_, label) in enumerate(test_data.gen_dataset().unbatch().take(100)):
    right += predicts[i][0][0] == test_data.index_to_label[label.numpy()]
print("right", right, len(test_data))

# Step 4: export.
model.export(export_dir=".")
model.export(export_dir=".", export_format=ExportFormat.LABEL)
print("tflite", model.evaluate_tflite("model.tflite", test_data)["accuracy"])

# Advanced: quantization.
config = QuantizationConfig.for_float16()
model.export(export_dir=".", tflite_filename="model_fp16.tflite", quantization_config=config)
print("float16", model.evaluate_tflite("model_fp16.tflite", test_data)["accuracy"])

# Advanced: another model, by its name and by its address.
model = image_classifier.create(train_data, model_spec=model_spec.get("mobilenet_v2"), validation_data=validation_data)
loss, accuracy = model.evaluate(test_data)
print("mobilenet_v2", loss, accuracy)
inception_v3_spec = image_classifier.ModelSpec(uri=inception_v3)
inception_v3_spec.input_image_shape = [299, 299]
model = image_classifier.create(train_data, model_spec=inception_v3_spec, validation_data=validation_data)
loss, accuracy = model.evaluate(test_data)
print("inception_v3", loss, accuracy)

# Advanced: other settings.
model = image_classifier.create(train_data, validation_data=validation_data, epochs=10)
loss, accuracy = model.evaluate(test_data)
print("epochs", loss, accuracy)
