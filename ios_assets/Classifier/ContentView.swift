import PhotosUI
import SwiftUI

/// The camera or a photo, and below it what the model says of it.
struct ContentView: View {
  @ObservedObject var model: ScreenModel
  @State private var picked: PhotosPickerItem?

  var body: some View {
    VStack(alignment: .leading, spacing: 12) {
      picture.frame(maxWidth: .infinity, maxHeight: .infinity)
      if let problem = model.problem { Text(problem).foregroundStyle(.red) }
      if let answer = model.answer { bars(answer) }
      if model.photo == nil, let taught = model.taught { TeachArea(model: model, taught: taught) }
      HStack {
        // The system's picker runs outside the app, so the app needs no permission to read photos.
        PhotosPicker("Pick a photo", selection: $picked, matching: .images).buttonStyle(.borderedProminent)
        if model.photo != nil { Button("Camera", action: model.backToCamera).buttonStyle(.bordered) }
      }
    }
    .padding()
    .onAppear(perform: model.start)
    .onChange(of: picked) { _, item in
      guard let item else { return }
      Task { await load(item) }
    }
  }

  @ViewBuilder private var picture: some View {
    if let photo = model.photo {
      Image(uiImage: photo).resizable().scaledToFit()
    } else if model.cameraPermitted == true {
      CameraPreview(camera: model.camera)
    } else if model.cameraPermitted == false {
      VStack {
        Text("Without the permission for the camera, photos can still be picked.")
        if let settings = URL(string: UIApplication.openSettingsURLString) { Link("Settings", destination: settings) }
      }
    }
  }

  @ViewBuilder private func bars(_ answer: Answer) -> some View {
    ForEach(answer.heads) { head in
      if !head.head.isEmpty { Text(head.head).font(.headline) }
      if head.labelSet.count > 1 { Text(head.labelSet.joined(separator: " or ")) }
      ForEach(head.predictions) { prediction in
        ProgressView(value: prediction.score) {
          HStack {
            Text(prediction.label)
            Spacer()
            Text(prediction.score, format: .percent.precision(.fractionLength(0)))
          }
        }
      }
    }
    Text("\(answer.latencyMs, specifier: "%.1f") ms").font(.caption)
  }

  private func load(_ item: PhotosPickerItem) async {
    do {
      guard let data = try await item.loadTransferable(type: Data.self), let image = UIImage(data: data) else { return }
      await MainActor.run { model.pick(image) }
    } catch {
      model.tell(error)
    }
  }
}
