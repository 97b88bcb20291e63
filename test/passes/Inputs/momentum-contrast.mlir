// A whole method in miniature: two networks of one structure, an average, a queue, a buffer, two views.
ssl.method @Tiny batch 8 epochs 3 {dim = "4"} {
  ssl.state @online.fc.weight parameter : tensor<4x12xf32> { %w = nn.random normal stream 1 : tensor<4x12xf32> nn.yield %w : tensor<4x12xf32> }
  ssl.state @online.fc.bias parameter : tensor<4xf32> { %w = nn.constant dense<0.0> : tensor<4xf32> nn.yield %w : tensor<4xf32> }
  ssl.state @online.bn.weight parameter : tensor<4xf32> { %w = nn.constant dense<1.0> : tensor<4xf32> nn.yield %w : tensor<4xf32> }
  ssl.state @online.bn.mean buffer : tensor<4xf32> { %w = nn.constant dense<0.0> : tensor<4xf32> nn.yield %w : tensor<4xf32> }
  ssl.state @key.fc.weight ema : tensor<4x12xf32> { %w = nn.read @online.fc.weight : tensor<4x12xf32> nn.yield %w : tensor<4x12xf32> }
  ssl.state @key.fc.bias ema : tensor<4xf32> { %w = nn.read @online.fc.bias : tensor<4xf32> nn.yield %w : tensor<4xf32> }
  ssl.state @key.bn.weight ema : tensor<4xf32> { %w = nn.read @online.bn.weight : tensor<4xf32> nn.yield %w : tensor<4xf32> }
  ssl.state @key.bn.mean buffer : tensor<4xf32> { %w = nn.read @online.bn.mean : tensor<4xf32> nn.yield %w : tensor<4xf32> }
  ssl.state @queue queue : tensor<16x4xf32> { %w = nn.random normal stream 2 : tensor<16x4xf32> nn.yield %w : tensor<16x4xf32> }
  ssl.net @encoder : (tensor<8x12xf32>) -> tensor<8x4xf32> {
  ^bb0(%x: tensor<8x12xf32>):
    %w = nn.read @".fc.weight" : tensor<4x12xf32>
    %b = nn.read @".fc.bias" : tensor<4xf32>
    %s = nn.read @".bn.weight" : tensor<4xf32>
    %y = nn.matmul %x, %w {transpose_rhs} : (tensor<8x12xf32>, tensor<4x12xf32>) -> tensor<8x4xf32>
    %z, %mean, %var = nn.batch_norm %y, %s, %b {epsilon = 1.0e-5, groups = 1} : (tensor<8x4xf32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<8x4xf32>, tensor<1x4xf32>, tensor<1x4xf32>)
    %mr = nn.reshape %mean : tensor<1x4xf32> -> tensor<4xf32>
    %sm = nn.stop_gradient %mr : tensor<4xf32>
    %old = nn.read @".bn.mean" : tensor<4xf32>
    %new = nn.add %old, %sm : tensor<4xf32>
    nn.write @".bn.mean", %new : tensor<4xf32>
    nn.yield %z : tensor<8x4xf32>
  }
  ssl.step {
  ^bb0(%images: !nn.images<8>):
    ssl.ema "key" of "online" before_forward { %m = nn.constant dense<0.75> : tensor<f32> nn.yield %m : tensor<f32> }
    %q = nn.augment %images stream 3 [#nn.stage<center_crop, {size = 2 : i64, resize = 2 : i64}>] : !nn.images<8> -> tensor<8x2x2x3xf32>
    %k = nn.augment %images stream 4 [#nn.stage<center_crop, {size = 2 : i64, resize = 2 : i64}>] : !nn.images<8> -> tensor<8x2x2x3xf32>
    ssl.view "q" %q : tensor<8x2x2x3xf32>
    ssl.view "k" %k : tensor<8x2x2x3xf32>
    %fq = nn.reshape %q : tensor<8x2x2x3xf32> -> tensor<8x12xf32>
    %fk = nn.reshape %k : tensor<8x2x2x3xf32> -> tensor<8x12xf32>
    %zq = ssl.apply @encoder as "online" (%fq) : (tensor<8x12xf32>) -> tensor<8x4xf32>
    %zk0 = ssl.apply @encoder as "key" (%fk) : (tensor<8x12xf32>) -> tensor<8x4xf32>
    %zk = nn.stop_gradient %zk0 : tensor<8x4xf32>
    %queue = nn.read @queue : tensor<16x4xf32>
    %pos = nn.mul %zq, %zk : tensor<8x4xf32>
    %pos1 = nn.reduce sum %pos [1] : tensor<8x4xf32> -> tensor<8xf32>
    %neg = nn.matmul %zq, %queue {transpose_rhs} : (tensor<8x4xf32>, tensor<16x4xf32>) -> tensor<8x16xf32>
    %max = nn.reduce max %neg [1] : tensor<8x16xf32> -> tensor<8xf32>
    %d = nn.sub %max, %pos1 : tensor<8xf32>
    %loss = nn.reduce sum %d [0] : tensor<8xf32> -> tensor<f32>
    ssl.loss %loss : tensor<f32>
    ssl.update "queue" after_loss { %old = nn.read @queue : tensor<16x4xf32> %new = nn.enqueue %old, %zk : (tensor<16x4xf32>, tensor<8x4xf32>) -> tensor<16x4xf32> nn.yield %new : tensor<16x4xf32> }
  }
  ssl.optimize sgd ["online.fc.weight", "online.fc.bias", "online.bn.weight"] decay [true, false, false] adapt [false, false, false] {momentum = 0.875, dampening = 0.0, nesterov = false} {
    %lr = nn.constant dense<0.125> : tensor<f32>
    %wd = nn.constant dense<0.0625> : tensor<f32>
    nn.yield %lr, %wd : tensor<f32>, tensor<f32>
  }
  ssl.represent {
  ^bb0(%images: !nn.images<8>):
    %q = nn.augment %images stream 5 [#nn.stage<center_crop, {size = 2 : i64, resize = 2 : i64}>] : !nn.images<8> -> tensor<8x2x2x3xf32>
    %fq = nn.reshape %q : tensor<8x2x2x3xf32> -> tensor<8x12xf32>
    %z = ssl.apply @encoder as "online" (%fq) : (tensor<8x12xf32>) -> tensor<8x4xf32>
    nn.yield %z : tensor<8x4xf32>
  }
}
