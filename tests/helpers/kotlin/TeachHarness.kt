package harness.teach

import fake.FakeInterpreter
import fake.direct
import fake.photo
import fake.tell
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import modelmaker.classifier.Answer
import modelmaker.classifier.BitmapPhoto
import modelmaker.classifier.Teacher
import org.tensorflow.lite.InterpreterApi

/** A folder with model, edges, photo and head.json; what the app's teacher learns of features that a fake network gives. */
fun main(arguments: Array<String>) {
    val folder = File(arguments[0])
    val (model, edges, picture, answer, seen) = listOf("model", "edges", "photo", "answer", "seen").map { File(folder, it) }
    val head = File(folder, "head.json").readText()
    val photo = BitmapPhoto(photo(picture))
    InterpreterApi.next = FakeInterpreter(edges, answer, seen)
    fun sees(vararg features: Float) {
        val bytes = ByteBuffer.allocate(12).order(ByteOrder.nativeOrder())
        features.forEach { bytes.putFloat(it) }
        answer.writeBytes(bytes.array())
    }
    fun tell(answer: Answer) = answer.heads.single().predictions.forEach { tell(it.label, it.score) }
    val teacher = Teacher(direct(model), head, folder)
    tell(teacher.taught)
    teacher.begin(" c ")
    sees(2f, 4f, 0f)
    teacher.learn(photo)
    tell(teacher.frame)
    sees(4f, 4f, 0f)
    teacher.learn(photo)
    teacher.end()
    teacher.learn(photo)
    tell(teacher.frame, teacher.taught)
    sees(1f, 2f, -1f)
    tell(teacher.classify(photo))
    val again = Teacher(direct(model), head, folder)
    tell(again.taught)
    tell(again.classify(photo))
    again.begin("pressed shortly")
    again.end()
    repeat(3) { again.learn(photo) }
    again.begin("held long")
    repeat(7) { again.learn(photo) }
    tell(again.taught)
    again.begin("a")
    try { again.learn(photo) } catch (error: IllegalArgumentException) { tell(error.message!!) }
    again.learn(photo)
    again.taught.keys.forEach { again.forget(it) }
    tell(Teacher(direct(model), head, folder).taught)
    val other = head.replace(Regex("[0-9a-f]{64}"), "f".repeat(64))
    try { Teacher(direct(model), other, folder) } catch (error: IllegalArgumentException) { tell(error.message!!) }
    folder.listFiles()!!.single { it.name.startsWith("taught-") }.writeText("{")
    try { Teacher(direct(model), head, folder) } catch (error: IllegalArgumentException) { tell(error.message!!) }
}
