package modelmaker.classifier

import androidx.compose.foundation.interaction.MutableInteractionSource
import androidx.compose.foundation.interaction.collectIsPressedAsState
import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.foundation.layout.heightIn
import androidx.compose.foundation.rememberScrollState
import androidx.compose.foundation.verticalScroll
import androidx.compose.material3.Button
import androidx.compose.material3.OutlinedTextField
import androidx.compose.material3.Text
import androidx.compose.material3.TextButton
import androidx.compose.runtime.Composable
import androidx.compose.runtime.LaunchedEffect
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.remember
import androidx.compose.runtime.setValue
import androidx.compose.ui.Modifier
import androidx.compose.ui.res.stringResource
import androidx.compose.ui.unit.dp

/** A name and a button to hold while the camera sees something new; below, what was taught, with undo. */
@Composable
fun TeachArea(model: MainViewModel, taught: List<Pair<String, Int>>) {
    var name by remember { mutableStateOf("") }
    val source = remember { MutableInteractionSource() }
    val held by source.collectIsPressedAsState()
    LaunchedEffect(held) { if (held) model.beginLesson(name) else model.endLesson() }
    Row(Modifier.fillMaxWidth(), Arrangement.spacedBy(12.dp)) {
        OutlinedTextField(
            value = name,
            onValueChange = { name = it },
            modifier = Modifier.weight(1f),
            label = { Text(stringResource(R.string.teach_name)) },
            singleLine = true,
        )
        Button(onClick = { }, enabled = name.isNotBlank(), interactionSource = source) {
            val frame = model.frame
            Text(if (frame == 0) stringResource(R.string.teach_hold) else stringResource(R.string.teach_frame, frame, FRAMES))
        }
    }
    Column(Modifier.heightIn(max = 160.dp).verticalScroll(rememberScrollState())) {
        for ((label, frames) in taught) {
            Row(Modifier.fillMaxWidth(), Arrangement.SpaceBetween) {
                Text(stringResource(R.string.taught, label, frames), Modifier.weight(1f))
                TextButton(onClick = { model.forget(label) }) { Text(stringResource(R.string.undo)) }
            }
        }
    }
}
