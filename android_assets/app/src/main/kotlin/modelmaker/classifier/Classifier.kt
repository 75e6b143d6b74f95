package modelmaker.classifier

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.DataType
import org.tensorflow.lite.InterpreterApi
import org.tensorflow.lite.Tensor

/** One label with its score, from 0 to 1. */
data class Prediction(val label: String, val score: Float)

/** What a model says of a photo, and how long it took: the inference alone, without resizing. */
data class Answer(
    val predictions: List<Prediction>,
    val latencyMs: Double,
    val labelSet: List<String> = emptyList(), // the labels of which one is right as often as the model promises
)

/**
 * A model in LiteRT's interpreter, for one thread at a time.
 *
 * @param content the `.tflite`, as a direct or mapped buffer
 * @param options the delegate, and the threads inside one inference
 * @throws IllegalArgumentException it is no image classifier that this app can feed
 */
class Classifier(
    content: ByteBuffer,
    options: InterpreterApi.Options = InterpreterApi.Options().setNumThreads(2),
) : Scorer {
    private val model = ModelFile(content)
    private val interpreter = InterpreterApi.create(content, options)
    private val image: Tensor = interpreter.getInputTensor(0)
    private val scores: Tensor = interpreter.getOutputTensor(0)
    private val size: Int
    private val input = buffer(image)
    private val output = buffer(scores)

    init {
        val shape = image.shape()
        require(shape.size == 4 && shape[0] == 1 && shape[1] == shape[2] && shape[3] == 3) {
            "it takes ${shape.joinToString("x")}, not a square photo"
        }
        for (tensor in listOf(image, scores)) {
            require(tensor.dataType() in listOf(DataType.UINT8, DataType.FLOAT32)) {
                "its edges are ${tensor.dataType()}, not UINT8 or FLOAT32"
            }
        }
        require(scores.shape().last() == model.labels.size) {
            "it gives ${scores.shape().last()} scores but carries ${model.labels.size} labels"
        }
        size = shape[1]
    }

    /** The best labels, best first; those of equal score in the model's order. */
    fun classify(photo: Photo, topK: Int = 3): Answer {
        val (found, latencyMs) = run(photo)
        val best = found.indices.sortedByDescending { found[it] }.filter { found[it] >= model.thresholds[it] }.take(topK)
        val set = model.labelSets?.of(found).orEmpty().map { model.labels[it] }
        return Answer(best.map { Prediction(model.labels[it], found[it]) }, latencyMs, set)
    }

    override fun scores(photo: Photo): FloatArray = run(photo).first

    private fun run(photo: Photo): Pair<FloatArray, Double> {
        input.rewind()
        if (image.dataType() == DataType.UINT8) {
            stretch(photo, size) { value -> input.put(value.toByte()) }
        } else {
            stretch(photo, size) { value -> input.putFloat((value - model.mean) / model.std) }
        }
        input.rewind()
        output.rewind()
        val start = System.nanoTime()
        interpreter.run(input, output)
        val latencyMs = (System.nanoTime() - start) / 1e6
        return Pair(results(), latencyMs)
    }

    override fun close() = interpreter.close()

    private fun results(): FloatArray {
        output.rewind()
        if (scores.dataType() == DataType.FLOAT32) return FloatArray(model.labels.size) { output.getFloat() }
        val quantization = scores.quantizationParams()
        return FloatArray(model.labels.size) {
            ((output.get().toInt() and 0xFF) - quantization.zeroPoint) * quantization.scale
        }
    }

    private fun buffer(tensor: Tensor) = ByteBuffer.allocateDirect(tensor.numBytes()).order(ByteOrder.nativeOrder())
}
