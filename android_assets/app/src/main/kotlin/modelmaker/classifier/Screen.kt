package modelmaker.classifier

import androidx.activity.compose.rememberLauncherForActivityResult
import androidx.activity.result.PickVisualMediaRequest
import androidx.activity.result.contract.ActivityResultContracts.PickVisualMedia
import androidx.compose.foundation.Image
import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.fillMaxSize
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.safeDrawingPadding
import androidx.compose.material3.Button
import androidx.compose.material3.LinearProgressIndicator
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.OutlinedButton
import androidx.compose.material3.Surface
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.ui.Modifier
import androidx.compose.ui.graphics.asImageBitmap
import androidx.compose.ui.layout.ContentScale
import androidx.compose.ui.res.stringResource
import androidx.compose.ui.unit.dp

/** The camera or a photo, and below it what the model says of it. */
@Composable
fun Screen(model: MainViewModel) {
    // The system's picker shows photos in a process of its own, so the app needs no permission to read them.
    val picker = rememberLauncherForActivityResult(PickVisualMedia()) { uri -> if (uri != null) model.pick(uri) }
    Surface(Modifier.fillMaxSize()) {
        Column(Modifier.fillMaxSize().safeDrawingPadding().padding(16.dp), Arrangement.spacedBy(12.dp)) {
            val photo = model.photo
            val space = Modifier.weight(1f).fillMaxWidth()
            if (photo == null) {
                CameraArea(model, space)
            } else {
                Image(photo.asImageBitmap(), stringResource(R.string.picked_photo), space, contentScale = ContentScale.Fit)
            }
            model.problem?.let { Text(it, color = MaterialTheme.colorScheme.error) }
            model.answer?.let { Bars(it) }
            if (photo == null) model.taught?.let { TeachArea(model, it) }
            Row(horizontalArrangement = Arrangement.spacedBy(12.dp)) {
                Button(onClick = { picker.launch(PickVisualMediaRequest(PickVisualMedia.ImageOnly)) }) {
                    Text(stringResource(R.string.pick_photo))
                }
                if (photo != null) {
                    OutlinedButton(onClick = model::backToCamera) { Text(stringResource(R.string.back_to_camera)) }
                }
            }
        }
    }
}

@Composable
private fun Bars(answer: Answer) {
    for (head in answer.heads) {
        if (head.head.isNotEmpty()) Text(head.head, style = MaterialTheme.typography.titleSmall)
        if (head.labelSet.size > 1) Text(head.labelSet.joinToString(stringResource(R.string.or)))
        for (prediction in head.predictions) {
            Row(Modifier.fillMaxWidth(), Arrangement.SpaceBetween) {
                Text(prediction.label, Modifier.weight(1f))
                Text(stringResource(R.string.percent, prediction.score * 100))
            }
            LinearProgressIndicator(progress = { prediction.score }, modifier = Modifier.fillMaxWidth())
        }
    }
    Text(stringResource(R.string.latency, answer.latencyMs), style = MaterialTheme.typography.bodySmall)
}
