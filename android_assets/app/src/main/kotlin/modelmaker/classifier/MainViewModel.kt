package modelmaker.classifier

import android.app.Application
import android.content.res.AssetManager
import android.graphics.Bitmap
import android.net.Uri
import androidx.camera.core.ImageProxy
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.setValue
import androidx.lifecycle.AndroidViewModel
import java.io.FileInputStream
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors

/** What is shown. It outlives a rotation of the screen, so the model is opened once. */
class MainViewModel(application: Application) : AndroidViewModel(application) {
    var answer by mutableStateOf<Answer?>(null)
        private set
    var problem by mutableStateOf<String?>(null)
        private set

    /** What was taught, a class with its number of frames each; null where the app cannot be taught. */
    var taught by mutableStateOf<List<Pair<String, Int>>?>(null)
        private set

    /** Which frame of a lesson is being learned; 0 when none is. */
    var frame by mutableStateOf(0)
        private set

    /** The photo that was picked; null while the camera is watched. */
    var photo by mutableStateOf<Bitmap?>(null)
        private set

    /** The one thread on which the model is opened, run and closed. */
    val worker: ExecutorService = Executors.newSingleThreadExecutor()
    private var classifier: Classifier? = null
    private var teacher: Teacher? = null

    init {
        worker.execute {
            try {
                classifier = proven(map(application.assets, MODEL_FILE))
                teacher = open(application)
                show()
            } catch (error: IOException) {
                tell(R.string.no_model, error)
            } catch (error: IllegalArgumentException) {
                tell(R.string.no_model, error)
            }
        }
    }

    /** Classifies a frame of the camera, on `worker`, and learns it during a lesson. */
    fun watch(frame: ImageProxy) = frame.use {
        if (photo == null) {
            val seen = FramePhoto(it)
            learn(seen)
            answer = classify(seen)
        }
    }

    /** Classifies a photo and shows it. */
    fun pick(uri: Uri) = worker.execute {
        if (classifier != null) problem = null
        try {
            val bitmap = decode(getApplication<Application>().contentResolver, uri)
            photo = bitmap
            answer = classify(BitmapPhoto(bitmap))
        } catch (error: IOException) {
            tell(R.string.no_photo, error)
        }
    }

    /** The button is held, and released. */
    fun beginLesson(label: String) = worker.execute {
        problem = null
        teacher?.begin(label)
    }

    fun endLesson() = worker.execute {
        teacher?.end()
        show()
    }

    /** Takes a taught class back. */
    fun forget(label: String) = worker.execute {
        try {
            teacher?.forget(label)
        } catch (error: IOException) {
            tell(R.string.not_kept, error)
        }
        show()
    }

    fun backToCamera() {
        photo = null
        answer = null
    }

    fun cameraFailed(error: Exception) = tell(R.string.no_camera, error)

    override fun onCleared() {
        worker.execute {
            classifier?.close()
            teacher?.close()
        }
        worker.shutdown()
    }

    private fun tell(message: Int, error: Exception) {
        problem = getApplication<Application>().getString(message, error.message ?: error.toString())
    }

    /** What was taught is asked first, as long as there is any. */
    private fun classify(photo: Photo): Answer? =
        teacher?.takeIf { it.taught.isNotEmpty() }?.classify(photo) ?: classifier?.classify(photo)

    private fun learn(photo: Photo) {
        try {
            teacher?.learn(photo) ?: return
        } catch (error: IllegalArgumentException) {
            tell(R.string.not_taught, error)
        } catch (error: IOException) {
            tell(R.string.not_kept, error)
        }
        show()
    }

    private fun show() {
        val known = teacher ?: return
        taught = known.taught.toList()
        frame = known.frame
    }

    /** What the app can be taught with; null where it has no such files. */
    private fun open(application: Application): Teacher? {
        if (application.assets.list("")?.contains(HEAD_FILE) != true) return null
        val head = application.assets.open(HEAD_FILE).use { it.readBytes().decodeToString() }
        return Teacher(map(application.assets, BACKBONE_FILE), head, application.filesDir)
    }

    private fun map(assets: AssetManager, name: String): ByteBuffer = assets.openFd(name).use { file ->
        FileInputStream(file.fileDescriptor).use { stream ->
            stream.channel.map(FileChannel.MapMode.READ_ONLY, file.startOffset, file.declaredLength)
        }
    }
}
