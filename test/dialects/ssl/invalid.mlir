// One violation of each constraint of a method.
// RUN: doppel-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{has no ssl.step}}
ssl.method @M batch 4 epochs 1 {} {
}

// -----

ssl.method @M batch 4 epochs 1 {} {
  // expected-error @below {{has no ssl.loss}}
  ssl.step {
  ^bb0(%images: !nn.images<4>):
  }
}

// -----

ssl.method @M batch 4 epochs 1 {} {
  // expected-note @below {{the first}}
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
  }
  // expected-error @below {{is the second of its method}}
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
  }
}

// -----

ssl.method @M batch 4 epochs 1 {} {
  // expected-error @below {{must yield ('tensor<2xf32>'), but yields ('tensor<3xf32>')}}
  ssl.state @s other : tensor<2xf32> { %c = nn.constant dense<0.0> : tensor<3xf32> nn.yield %c : tensor<3xf32> }
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
  }
}

// -----

ssl.method @M batch 4 epochs 1 {} {
  ssl.state @s other : tensor<2xf32> {
    // expected-error @below {{reads 'later', which is not declared above the state that it initialises}}
    %c = nn.read @later : tensor<2xf32>
    nn.yield %c : tensor<2xf32>
  }
  ssl.state @later other : tensor<2xf32> { %c = nn.constant dense<0.0> : tensor<2xf32> nn.yield %c : tensor<2xf32> }
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
  }
}

// -----

ssl.method @M batch 4 epochs 1 {} {
  ssl.state @net.w parameter : tensor<2xf32> { %c = nn.constant dense<0.0> : tensor<2xf32> nn.yield %c : tensor<2xf32> }
  // expected-note @below {{declared here}}
  ssl.net @net : (tensor<2xf32>) -> tensor<2xf32> {
  ^bb0(%x: tensor<2xf32>):
    %w = nn.read @".w" : tensor<2xf32>
    nn.yield %w : tensor<2xf32>
  }
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
    %x = nn.constant dense<1.0> : tensor<3xf32>
    // expected-error @below {{does not have the network's type}}
    %y = ssl.apply @net as "net"(%x) : (tensor<3xf32>) -> tensor<2xf32>
  }
}

// -----

ssl.method @M batch 4 epochs 1 {} {
  ssl.state @net.w parameter : tensor<2xf32> { %c = nn.constant dense<0.0> : tensor<2xf32> nn.yield %c : tensor<2xf32> }
  ssl.net @net : (tensor<2xf32>) -> tensor<2xf32> {
  ^bb0(%x: tensor<2xf32>):
    // expected-note @below {{accessed here}}
    %w = nn.read @".w" : tensor<2xf32>
    nn.yield %w : tensor<2xf32>
  }
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
    %x = nn.constant dense<1.0> : tensor<2xf32>
    // expected-error @below {{'other.w' is not a state}}
    %y = ssl.apply @net as "other"(%x) : (tensor<2xf32>) -> tensor<2xf32>
  }
}

// -----

ssl.method @M batch 4 epochs 1 {} {
  ssl.state @net.w parameter : tensor<2xf32> { %c = nn.constant dense<0.0> : tensor<2xf32> nn.yield %c : tensor<2xf32> }
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
    // expected-error @below {{'nothing' is not a network}}
    ssl.apply @nothing as "net"() : () -> ()
  }
}

// -----

ssl.method @M batch 4 epochs 1 {} {
  // expected-note @below {{declared here}}
  ssl.state @net.w parameter : tensor<2xf32> { %c = nn.constant dense<0.0> : tensor<2xf32> nn.yield %c : tensor<2xf32> }
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
    // expected-error @below {{'net.w' is 'tensor<2xf32>', the value is 'tensor<5xf32>'}}
    %w = nn.read @net.w : tensor<5xf32>
  }
}

// -----

ssl.method @M batch 4 epochs 1 {} {
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
    // expected-error @below {{'queue' is not a state}}
    ssl.update "queue" after_loss { nn.yield %l : tensor<f32> }
  }
}

// -----

ssl.method @M batch 4 epochs 1 {} {
  ssl.state @net.w parameter : tensor<2xf32> { %c = nn.constant dense<0.0> : tensor<2xf32> nn.yield %c : tensor<2xf32> }
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
    // expected-error @below {{must yield ('tensor<2xf32>'), but yields ('tensor<f32>')}}
    ssl.update "net.w" after_loss { nn.yield %l : tensor<f32> }
  }
}

// -----

ssl.method @M batch 4 epochs 1 {} {
  ssl.state @net.w parameter : tensor<2xf32> { %c = nn.constant dense<0.0> : tensor<2xf32> nn.yield %c : tensor<2xf32> }
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
    %v = nn.constant dense<1.0> : tensor<2xf32>
    // expected-error @below {{is before the forward computation, but uses a value of it}}
    ssl.update "net.w" before_forward { nn.yield %v : tensor<2xf32> }
  }
}

// -----

ssl.method @M batch 4 epochs 1 {} {
  ssl.state @net.w parameter : tensor<2xf32> { %c = nn.constant dense<0.0> : tensor<2xf32> nn.yield %c : tensor<2xf32> }
  // expected-note @below {{for this state}}
  ssl.state @copy.v ema : tensor<2xf32> { %c = nn.constant dense<0.0> : tensor<2xf32> nn.yield %c : tensor<2xf32> }
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
    // expected-error @below {{has no source 'net.v' of type 'tensor<2xf32>'}}
    ssl.ema "copy" of "net" after_step { %m = nn.constant dense<1.0> : tensor<f32> nn.yield %m : tensor<f32> }
  }
}

// -----

ssl.method @M batch 4 epochs 1 {} {
  ssl.state @net.w parameter : tensor<2xf32> { %c = nn.constant dense<0.0> : tensor<2xf32> nn.yield %c : tensor<2xf32> }
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
  }
  // expected-error @below {{has 1 parameters, 2 decay and 1 adapt flags}}
  ssl.optimize sgd ["net.w"] decay [true, true] adapt [true] {momentum = 0.0, dampening = 0.0, nesterov = false} {
    %r = nn.constant dense<0.5> : tensor<f32>
    nn.yield %r, %r : tensor<f32>, tensor<f32>
  }
}

// -----

ssl.method @M batch 4 epochs 1 {} {
  ssl.state @net.w parameter : tensor<2xf32> { %c = nn.constant dense<0.0> : tensor<2xf32> nn.yield %c : tensor<2xf32> }
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
  }
  // expected-error @below {{"net.b" is not a parameter declared above}}
  ssl.optimize sgd ["net.b"] decay [true] adapt [true] {momentum = 0.0, dampening = 0.0, nesterov = false} {
    %r = nn.constant dense<0.5> : tensor<f32>
    nn.yield %r, %r : tensor<f32>, tensor<f32>
  }
}

// -----

ssl.method @M batch 4 epochs 1 {} {
  ssl.state @net.w parameter : tensor<2xf32> { %c = nn.constant dense<0.0> : tensor<2xf32> nn.yield %c : tensor<2xf32> }
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
  }
  // expected-note @below {{this one}}
  ssl.optimize sgd ["net.w"] decay [true] adapt [true] {momentum = 0.0, dampening = 0.0, nesterov = false} {
    %r = nn.constant dense<0.5> : tensor<f32>
    nn.yield %r, %r : tensor<f32>, tensor<f32>
  }
  // expected-error @below {{"net.w" has an optimizer already}}
  ssl.optimize sgd ["net.w"] decay [true] adapt [true] {momentum = 0.0, dampening = 0.0, nesterov = false} {
    %r = nn.constant dense<0.5> : tensor<f32>
    nn.yield %r, %r : tensor<f32>, tensor<f32>
  }
}

// -----

ssl.method @M batch 4 epochs 1 {} {
  ssl.state @net.w parameter : tensor<2xf32> { %c = nn.constant dense<0.0> : tensor<2xf32> nn.yield %c : tensor<2xf32> }
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
  }
  // expected-error @below {{must yield ('tensor<f32>', 'tensor<f32>'), but yields ('tensor<f32>')}}
  ssl.optimize sgd ["net.w"] decay [true] adapt [true] {momentum = 0.0, dampening = 0.0, nesterov = false} {
    %r = nn.constant dense<0.5> : tensor<f32>
    nn.yield %r : tensor<f32>
  }
}

// -----

ssl.method @M batch 4 epochs 1 {} {
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
  }
  // expected-error @below {{must yield features [batch, D]}}
  ssl.represent {
  ^bb0(%images: !nn.images<4>):
    %c = nn.constant dense<0.5> : tensor<4xf32>
    nn.yield %c : tensor<4xf32>
  }
}

// -----

ssl.method @M batch 4 epochs 1 {} {
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %l = nn.constant dense<1.0> : tensor<f32>
    ssl.loss %l : tensor<f32>
  }
  // expected-error @below {{is not an operation of a method's body}}
  %c = nn.constant dense<0.5> : tensor<4xf32>
}
