package fake

import android.graphics.Bitmap
import java.io.DataInputStream
import java.io.File
import java.nio.ByteBuffer
import org.tensorflow.lite.DataType
import org.tensorflow.lite.InterpreterApi
import org.tensorflow.lite.Tensor

/** An interpreter that keeps what it is fed, in `seen`, and answers with the bytes of `answer`, output after output. */
class FakeInterpreter(edges: File, private val answer: File, private val seen: File) : InterpreterApi {
    private val tensors = edges.readLines().map { FakeTensor(it.split(" ")) }

    override fun getInputTensor(index: Int) = tensors[0]

    override fun getOutputTensor(index: Int) = tensors[1 + index]

    override fun run(input: Any, output: Any) = runForMultipleInputsOutputs(arrayOf(input), mapOf(0 to output))

    override fun runForMultipleInputsOutputs(inputs: Array<Any>, outputs: Map<Int, Any>) {
        val input = inputs.single()
        val fed = ByteArray((input as ByteBuffer).remaining())
        input.get(fed)
        seen.writeBytes(fed)
        val starts = tensors.drop(1).runningFold(0) { at, tensor -> at + tensor.numBytes() }
        for ((index, output) in outputs) {
            (output as ByteBuffer).put(answer.readBytes(), starts[index], tensors[1 + index].numBytes())
        }
    }

    override fun close() {}
}

/** "UINT8 1,8,8,3 0.5 3": type, shape, scale, zero point. */
class FakeTensor(private val words: List<String>) : Tensor {
    override fun shape() = words[1].split(",").map { it.toInt() }.toIntArray()

    override fun dataType() = DataType.valueOf(words[0])

    override fun numBytes() = shape().fold(if (words[0] == "FLOAT32") 4 else 1) { size, side -> size * side }

    override fun quantizationParams() = Tensor.QuantizationParams(words[2].toFloat(), words[3].toInt())
}

/** Width, height and pixels (ARGB), each a big-endian integer. */
fun photo(file: File): Bitmap = DataInputStream(file.inputStream().buffered()).use { data ->
    val (width, height) = listOf(data.readInt(), data.readInt())
    Bitmap(width, height, IntArray(width * height) { data.readInt() })
}

fun direct(file: File): ByteBuffer {
    val bytes = file.readBytes()
    return ByteBuffer.allocateDirect(bytes.size).put(bytes).flip() as ByteBuffer
}

/** What Python reads: text may hold anything but the separator. */
fun tell(vararg parts: Any) = print(parts.joinToString("\u0000") + "\u0000")
