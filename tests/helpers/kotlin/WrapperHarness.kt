package harness.PACKAGE

import PACKAGE.CLASS
import fake.FakeInterpreter
import fake.direct
import fake.photo
import fake.tell
import java.io.File
import org.tensorflow.lite.InterpreterApi

/** A folder with model, edges, photo and answer; prints what the generated class makes of them. */
fun main(arguments: Array<String>) {
    val (model, edges, picture, answer, seen) = listOf("model", "edges", "photo", "answer", "seen")
        .map { File(arguments[0], it) }
    InterpreterApi.next = FakeInterpreter(edges, answer, seen)
    tell(CLASS.SIZE, CLASS.THRESHOLD, CLASS.Label.entries.size, *CLASS.Label.entries.map { it.text }.toTypedArray())
    for (prediction in CLASS(direct(model)).classify(photo(picture), topK = 2)) {
        tell(prediction.label.text, prediction.score)
    }
    if (CLASS.COVERAGE > 0) tell(*CLASS.labelSet(floatArrayOf(0.3125f, 0.375f, 0.3125f)).map { it.label }.toTypedArray())
}
