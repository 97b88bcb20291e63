// RUN: doppel-opt %s --ssl-to-step --verify-diagnostics

// expected-note @below {{the first}}
ssl.method @First batch 4 epochs 1 {} {
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
  }
}

// expected-error @below {{is the second method of the module}}
ssl.method @Second batch 4 epochs 1 {} {
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
  }
}
