package modelmaker.classifier

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.DataType
import org.tensorflow.lite.InterpreterApi
import org.tensorflow.lite.Tensor

/** What each output of a network holds, and how long it took: the inference alone, without resizing. */
class Outputs(val values: List<FloatArray>, val latencyMs: Double)

/**
 * A network that takes photos, in LiteRT's interpreter, for one thread at a time.
 *
 * @param content the `.tflite`, as a direct or mapped buffer
 * @param options the delegate, and the threads inside one inference
 * @throws IllegalArgumentException this app cannot feed it
 */
class Network(content: ByteBuffer, options: InterpreterApi.Options) : AutoCloseable {
    val file = ModelFile(content)
    private val interpreter = InterpreterApi.create(content, options)
    private val image: Tensor = interpreter.getInputTensor(0)
    private val results = List(maxOf(1, file.heads.size)) { interpreter.getOutputTensor(it) }
    private val fit: Fit
    private val input = buffer(image)
    private val outputs = results.map { buffer(it) }

    /** How many numbers each output has. */
    val sizes: List<Int> get() = results.map { it.shape().last() }

    init {
        val shape = image.shape()
        require(shape.size == 4 && shape[0] == 1 && shape[3] == 3) {
            "it takes ${shape.joinToString("x")}, not a photo"
        }
        for (tensor in results + image) {
            require(tensor.dataType() in listOf(DataType.UINT8, DataType.FLOAT32)) {
                "its edges are ${tensor.dataType()}, not UINT8 or FLOAT32"
            }
        }
        fit = Fit(shape[1], shape[2], file.resize)
    }

    fun run(photo: Photo): Outputs {
        input.rewind()
        if (image.dataType() == DataType.UINT8) {
            fit(photo, fit) { value -> input.put(value.toByte()) }
        } else {
            fit(photo, fit) { value -> input.putFloat((value - file.mean) / file.std) }
        }
        input.rewind()
        outputs.forEach { it.rewind() }
        val start = System.nanoTime()
        interpreter.runForMultipleInputsOutputs(arrayOf<Any>(input), outputs.indices.associateWith { outputs[it] })
        val latencyMs = (System.nanoTime() - start) / 1e6
        return Outputs(results.indices.map { values(results[it], outputs[it]) }, latencyMs)
    }

    override fun close() = interpreter.close()

    private fun values(tensor: Tensor, output: ByteBuffer): FloatArray {
        output.rewind()
        val count = tensor.shape().last()
        if (tensor.dataType() == DataType.FLOAT32) return FloatArray(count) { output.getFloat() }
        val quantization = tensor.quantizationParams()
        return FloatArray(count) { ((output.get().toInt() and 0xFF) - quantization.zeroPoint) * quantization.scale }
    }

    private fun buffer(tensor: Tensor) = ByteBuffer.allocateDirect(tensor.numBytes()).order(ByteOrder.nativeOrder())
}
