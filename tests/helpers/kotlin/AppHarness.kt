package harness.app

import fake.FakeInterpreter
import fake.direct
import fake.photo
import fake.tell
import java.io.File
import modelmaker.classifier.BitmapPhoto
import modelmaker.classifier.Classifier
import modelmaker.classifier.ModelFile
import org.tensorflow.lite.InterpreterApi

/** A folder with model, edges, photo and answer; prints what the app's classes make of them. */
fun main(arguments: Array<String>) {
    val (model, edges, picture, answer, seen) = listOf("model", "edges", "photo", "answer", "seen")
        .map { File(arguments[0], it) }
    val file = ModelFile(direct(model))
    tell(file.mean, file.std)
    for (head in file.heads) {
        tell(head.name, head.thresholds.joinToString(" "), head.labels.size, *head.labels.toTypedArray())
    }
    InterpreterApi.next = FakeInterpreter(edges, answer, seen)
    val answers = Classifier(direct(model)).classify(BitmapPhoto(photo(picture)), topK = 2).heads
    for ((head, known) in answers.zip(file.heads)) {
        tell(head.head, head.predictions.size)
        for (prediction in head.predictions) tell(prediction.label, prediction.score)
        if (known.labelSets != null) tell("labels", *head.labelSet.toTypedArray())
    }
}
