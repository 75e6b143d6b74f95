import SwiftUI

@main
struct ClassifierApp: App {
  @StateObject private var model = ScreenModel()

  var body: some Scene {
    WindowGroup { ContentView(model: model) }
  }
}
