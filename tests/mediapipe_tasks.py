"""Runs MediaPipe Tasks; prints JSON.

    mediapipe_tasks.py MODEL... -- PHOTO...

For each model: {"scores": [{label: score}, one a photo]}, or {"error": "..."}. {"missing": "..."} alone names what is
not installed.
"""

import json
import sys

# MediaPipe would import TensorFlow, which it does not need to classify and which takes most of its ten seconds.
sys.modules["tensorflow"] = None

try:
    import mediapipe
    from mediapipe.tasks.python import vision
    from mediapipe.tasks.python.core.base_options import BaseOptions
except (ImportError, OSError) as error:  # the wheel, or a library that it wants from the system
    print(json.dumps({"missing": str(error)}))
    sys.exit()


def run(model, photos):
    options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=model))
    try:
        with vision.ImageClassifier.create_from_options(options) as classifier:
            scores = []
            for photo in photos:
                [found] = classifier.classify(mediapipe.Image.create_from_file(photo)).classifications
                scores.append({category.category_name: category.score for category in found.categories})
        return {"scores": scores}
    except (RuntimeError, ValueError) as error:
        return {"error": str(error)}


if __name__ == "__main__":
    split = sys.argv.index("--")
    print(json.dumps({model: run(model, sys.argv[split + 1 :]) for model in sys.argv[1:split]}))
