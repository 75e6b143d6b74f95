package harness.selftest

import fake.direct
import fake.tell
import java.io.ByteArrayInputStream
import java.io.File
import javax.imageio.ImageIO
import modelmaker.classifier.Photo
import modelmaker.classifier.Scorer
import modelmaker.classifier.SelfTest
import modelmaker.classifier.Trial

/** A picture, decoded by Java. */
class Picture(png: ByteArray) : Photo {
    private val image = ImageIO.read(ByteArrayInputStream(png))
    override val width = image.width
    override val height = image.height

    override fun argb(x: Int, y: Int) = image.getRGB(x, y)
}

/** Gives out scores in turn. */
class Answers(private val rows: List<FloatArray>) : Scorer {
    private var next = 0

    override fun scores(photo: Photo): FloatArray = rows[next++ % rows.size]

    override fun close() {}
}

/** A model and rows of scores; tells whether delegates that answer so pass, in the rows' order or another. */
fun main(arguments: Array<String>) {
    val test = SelfTest.read(direct(File(arguments[0], "model")))
    if (test == null) {
        tell("none")
        return
    }
    val rows = File(arguments[0], "rows").readLines().map { line -> line.split(",").map { it.toFloat() }.toFloatArray() }
    val nothing = rows.map { FloatArray(it.size) { Float.NaN } }
    for ((name, answers) in listOf("honest" to rows, "shifted" to rows.drop(1) + rows.take(1), "nan" to nothing)) {
        val trial = test.on(name, ::Picture) { Answers(answers) }
        tell(name, trial.passed, trial.deviation)
    }
    tell("absent", test.on("absent", ::Picture) { throw UnsupportedOperationException("no GPU") }.problem ?: "")
    val trials = listOf(Trial("GPU", false, 1f, 1.0), Trial("CPU", true, 0f, 7.0), Trial("NNAPI", true, 0f, 3.0))
    tell("fastest", SelfTest.fastest(trials)?.delegate ?: "", SelfTest.fastest(trials.take(1))?.delegate ?: "")
}
