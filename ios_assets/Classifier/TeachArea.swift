import SwiftUI

/// A name and a button to hold while the camera sees something new; below, what was taught, with undo.
struct TeachArea: View {
  @ObservedObject var model: ScreenModel
  let taught: [Taught]
  @State private var name = ""

  var body: some View {
    VStack(alignment: .leading, spacing: 8) {
      HStack {
        TextField("Name of something new", text: $name).textFieldStyle(.roundedBorder)
        Button(model.frame == 0 ? "Hold to teach" : "\(model.frame) of \(Teacher.frames)") {}
          .buttonStyle(HoldStyle { held in model.holdLesson(held, label: name) })
          .disabled(name.trimmingCharacters(in: .whitespaces).isEmpty)
      }
      ScrollView {
        ForEach(taught) { entry in
          HStack {
            Text("\(entry.label), frames: \(entry.frames)")
            Spacer()
            Button("Undo") { model.forget(entry.label) }.accessibilityLabel("Undo \(entry.label)")
          }
        }
      }
      .frame(maxHeight: taught.isEmpty ? 0 : 120)
    }
  }
}

/// A button that reports when it is pressed and when it is released.
private struct HoldStyle: ButtonStyle {
  let report: (Bool) -> Void

  func makeBody(configuration: Configuration) -> some View {
    configuration.label
      .padding(8)
      .background(configuration.isPressed ? Color.accentColor.opacity(0.5) : Color.accentColor.opacity(0.2))
      .clipShape(RoundedRectangle(cornerRadius: 8))
      .onChange(of: configuration.isPressed) { _, pressed in report(pressed) }
  }
}
