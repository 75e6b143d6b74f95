"""The official reader of metadata, which like TFLite Task Library cannot live in a process with TensorFlow.

    official_metadata.py MODEL

Prints {"metadata": {...}, "files": [...], "min_parser_version": "..."}.
"""

import json
import sys
from pathlib import Path

from model_maker.verification.clients import task_library

task_library.prepare()

from tensorflow_lite_support.metadata.cc.python import _pywrap_metadata_version  # noqa: E402
from tflite_support import metadata  # noqa: E402

displayer = metadata.MetadataDisplayer.with_model_buffer(Path(sys.argv[1]).read_bytes())
print(
    json.dumps(
        {
            "metadata": json.loads(displayer.get_metadata_json()),
            "files": displayer.get_packed_associated_file_list(),
            "min_parser_version": _pywrap_metadata_version.GetMinimumMetadataParserVersion(
                displayer.get_metadata_buffer()
            ),
        }
    )
)
