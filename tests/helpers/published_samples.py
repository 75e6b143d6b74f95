"""Folders that are known as published sample apps."""

# Where the published samples keep the file that makes them known, and the import in it (of their repositories).
MARKS = {
    "TensorFlow's Android sample": (
        "app/src/main/java/org/tensorflow/lite/examples/imageclassification/ImageClassifierHelper.kt",
        "import org.tensorflow.lite.task.vision.classifier.ImageClassifier",
        "app/src/main/assets/mobilenetv1.tflite",
    ),
    "MediaPipe's Android sample": (
        "app/src/main/java/com/google/mediapipe/examples/imageclassification/ImageClassifierHelper.kt",
        "import com.google.mediapipe.tasks.vision.imageclassifier.ImageClassifier",
        "app/src/main/assets/efficientnet-lite0.tflite",
    ),
    "LiteRT's Android sample (CompiledModel)": (
        "app/src/main/java/com/google/aiedge/examples/imageclassification/ImageClassificationHelper.kt",
        "import com.google.ai.edge.litert.CompiledModel",
        "app/src/main/assets/efficientnet_lite0.tflite",
    ),
    "LiteRT's Android sample (Interpreter)": (
        "app/src/main/java/com/google/edgeai/examples/imageclassification/ImageClassificationHelper.kt",
        "import org.tensorflow.lite.Interpreter",
        "app/src/main/assets/efficientnet_lite0.tflite",
    ),
    "TensorFlow's iOS sample": (
        "ImageClassification/TFLite/ImageClassificationHelper.swift",
        "import TensorFlowLiteTaskVision",
        "ImageClassification/TFLite/efficientnet_lite0.tflite",
    ),
    "MediaPipe's iOS sample": (
        "ImageClassifier/Services/ImageClassifierService.swift",
        "import MediaPipeTasksVision",
        "ImageClassifier/efficientnet_lite0.tflite",
    ),
}


def make(folder, name):
    """A folder with what makes a published sample known."""
    path, text, _ = MARKS[name]
    (folder / path).parent.mkdir(parents=True)
    (folder / path).write_text(f"// a comment\n{text}\n")
    return folder
