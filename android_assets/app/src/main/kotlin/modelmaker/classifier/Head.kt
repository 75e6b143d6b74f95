package modelmaker.classifier

import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.Base64
import kotlin.math.exp
import kotlin.math.sqrt
import org.json.JSONArray
import org.json.JSONObject

// What `model_maker codegen` writes for a backbone and a head holds this text from here on.

/**
 * A head in numbers: it knows features, not photos.
 *
 * @param backbone the sha256 of the backbone that the features come from
 */
class Head(
    private val own: List<String>,
    private val kernel: ByteArray,
    private val steps: DoubleArray,
    private val bias: DoubleArray,
    private val center: FloatArray,
    private val divisor: FloatArray,
    private val length: Double,
    private val offset: Double,
    private val backbone: String,
) {
    private class Taught(val count: Int, val sum: DoubleArray)

    private val learned = LinkedHashMap<String, Taught>()

    /** How many features it takes. */
    val features: Int get() = center.size

    /** The head's own labels, then those that were taught. */
    val labels: List<String> get() = own + learned.keys

    /** How many photos each taught label has. */
    val taught: Map<String, Int> get() = learned.mapValues { it.value.count }

    /** Learns a new label, or another photo of one that was taught. */
    fun teach(label: String, features: FloatArray) {
        require(label.isNotBlank() && label !in own) { "'$label' is not a name for a new class." }
        val known = learned[label] ?: Taught(0, DoubleArray(center.size))
        learned[label] = Taught(known.count + 1, DoubleArray(center.size) { known.sum[it] + features[it] })
    }

    /** Takes a taught label back. */
    fun forget(label: String) {
        requireNotNull(learned.remove(label)) { "'$label' was not taught." }
    }

    /** A score for each of `labels`. */
    fun scores(features: FloatArray): DoubleArray {
        val logits = ArrayList<Double>()
        for (label in own.indices) {
            var sum = 0.0
            for (at in center.indices) sum += kernel[label * center.size + at].toDouble() * features[at]
            logits.add(sum * steps[label] + bias[label])
        }
        for (one in learned.values) {
            val direction = DoubleArray(center.size) { (one.sum[it] / one.count - center[it]) / divisor[it] }
            val long = sqrt(direction.sumOf { it * it }).let { if (it == 0.0) 1.0 else it }
            var logit = 0.0
            for (at in center.indices) {
                logit += direction[at] * (length / long) / divisor[at] * (features[at].toDouble() - center[at])
            }
            logits.add(logit + offset)
        }
        val most = logits.max()
        val powers = logits.map { exp(it - most) }
        val total = powers.sum()
        return DoubleArray(powers.size) { powers[it] / total }
    }

    /** What was taught, for another Head on this backbone. */
    fun save(): String {
        val all = JSONObject()
        for ((label, one) in learned) {
            val sum = JSONArray()
            one.sum.forEach { sum.put(it) }
            all.put(label, JSONObject().put("count", one.count).put("sum", sum))
        }
        return JSONObject().put("backbone_sha256", backbone).put("taught", all).toString()
    }

    /** Adds what `save` returned earlier. */
    fun restore(saved: String) {
        val content = JSONObject(saved)
        require(content.getString("backbone_sha256") == backbone) { "These classes were taught on another backbone." }
        val all = content.getJSONObject("taught")
        for (label in all.keys()) {
            val one = all.getJSONObject(label)
            if (label !in own) learned[label] = Taught(one.getInt("count"), numbers(one.getJSONArray("sum")))
        }
    }

    companion object {
        /** Reads the content of head.json, for the backbone of this sha256. */
        fun parse(json: String, backbone: String): Head {
            val head = JSONObject(json)
            require(head.optString("format") == "model_maker head 1") { "This is no head of model_maker export --split." }
            require(head.getString("backbone_sha256") == backbone) { "This head is for another backbone." }
            val labels = head.getJSONArray("labels")
            val teach = head.getJSONObject("teach")
            return Head(
                List(labels.length()) { labels.getString(it) },
                Base64.getDecoder().decode(head.getString("kernel")),
                numbers(head.getJSONArray("steps")),
                numbers(head.getJSONArray("bias")),
                floats(teach.getString("center")),
                floats(teach.getString("divisor")),
                teach.getDouble("length"),
                teach.getDouble("offset"),
                backbone,
            )
        }

        private fun numbers(values: JSONArray) = DoubleArray(values.length()) { values.getDouble(it) }

        private fun floats(text: String): FloatArray {
            val buffer = ByteBuffer.wrap(Base64.getDecoder().decode(text)).order(ByteOrder.LITTLE_ENDIAN)
            return FloatArray(buffer.remaining() / 4) { buffer.getFloat(4 * it) }
        }
    }
}
