; The kernels that DeviceConformance.h launches, as a GPU and its simulator have them; what each computes stands in Conformance.cpp. A
; block is a workgroup, its first thread does the work.

declare i32 @doppel.thread() #1
declare i32 @doppel.block() #1

define void @count_groups(ptr %x, ptr %sum) #0 {
  %thread = call i32 @doppel.thread()
  %isFirst = icmp eq i32 %thread, 0
  br i1 %isFirst, label %work, label %done
work:
  %block = call i32 @doppel.block()
  %g = zext i32 %block to i64
  %xAt = getelementptr float, ptr %x, i64 %g
  %sumAt = getelementptr float, ptr %sum, i64 %g
  %value = load float, ptr %xAt
  %old = load float, ptr %sumAt
  %more = fadd float %value, 1.0
  %new = fadd float %old, %more
  store float %new, ptr %sumAt
  br label %done
done:
  ret void
}

define void @double_and_invert(ptr %x, ptr %y, ptr %z) #0 {
  %thread = call i32 @doppel.thread()
  %isFirst = icmp eq i32 %thread, 0
  br i1 %isFirst, label %work, label %done
work:
  %block = call i32 @doppel.block()
  %g = zext i32 %block to i64
  %xAt = getelementptr float, ptr %x, i64 %g
  %yAt = getelementptr float, ptr %y, i64 %g
  %zAt = getelementptr float, ptr %z, i64 %g
  %value = load float, ptr %xAt
  %doubled = fmul float %value, 2.0
  %inverse = fdiv float 1.0, %value
  store float %doubled, ptr %yAt
  store float %inverse, ptr %zAt
  br label %done
done:
  ret void
}

%image = type { i64, i32, i32, i64 }       ; offset, height, width, index
%scalars = type { i64, i64, i64, i64, i64 } ; seed, step, stepsPerEpoch, epochs, samples

define void @read_every_kind(ptr %f32, ptr %f64, ptr %i64, ptr %i32, ptr %u8, ptr %flags, ptr %images, ptr %run, ptr %sum, ptr %slab) #0 {
  %thread = call i32 @doppel.thread()
  %isFirst = icmp eq i32 %thread, 0
  br i1 %isFirst, label %work, label %done
work:
  %block = call i32 @doppel.block()
  %g = zext i32 %block to i64
  %f32At = getelementptr float, ptr %f32, i64 %g
  %f64At = getelementptr double, ptr %f64, i64 %g
  %i64At = getelementptr i64, ptr %i64, i64 %g
  %i32At = getelementptr i32, ptr %i32, i64 %g
  %u8At = getelementptr i8, ptr %u8, i64 %g
  %flagAt = getelementptr i8, ptr %flags, i64 %g
  %offsetAt = getelementptr %image, ptr %images, i64 %g, i32 0
  %heightAt = getelementptr %image, ptr %images, i64 %g, i32 1
  %widthAt = getelementptr %image, ptr %images, i64 %g, i32 2
  %indexAt = getelementptr %image, ptr %images, i64 %g, i32 3
  %stepAt = getelementptr %scalars, ptr %run, i32 0, i32 1
  %perEpochAt = getelementptr %scalars, ptr %run, i32 0, i32 2
  %epochsAt = getelementptr %scalars, ptr %run, i32 0, i32 3
  %samplesAt = getelementptr %scalars, ptr %run, i32 0, i32 4
  %offset = load i64, ptr %offsetAt
  %height = load i32, ptr %heightAt
  %width = load i32, ptr %widthAt
  %rows = zext i32 %height to i64
  %columns = zext i32 %width to i64
  %pixels = mul i64 %rows, %columns
  %levels = mul i64 %pixels, 3
  %behind = add i64 %offset, %levels
  %last = sub i64 %behind, 1
  %firstLevelAt = getelementptr i8, ptr %slab, i64 %offset
  %lastLevelAt = getelementptr i8, ptr %slab, i64 %last
  %a = load float, ptr %f32At
  %b = load double, ptr %f64At
  %c = load i64, ptr %i64At
  %d = load i32, ptr %i32At
  %e = load i8, ptr %u8At
  %f = load i8, ptr %flagAt
  %h = load i8, ptr %firstLevelAt
  %i = load i8, ptr %lastLevelAt
  %j = load i64, ptr %indexAt
  %k = load i64, ptr %run
  %l = load i64, ptr %stepAt
  %m = load i64, ptr %perEpochAt
  %n = load i64, ptr %epochsAt
  %o = load i64, ptr %samplesAt
  %a1 = fpext float %a to double
  %c1 = sitofp i64 %c to double
  %d1 = sitofp i32 %d to double
  %e1 = uitofp i8 %e to double
  %f1 = uitofp i8 %f to double
  %h1 = uitofp i8 %h to double
  %i1 = uitofp i8 %i to double
  %j1 = sitofp i64 %j to double
  %k1 = uitofp i64 %k to double
  %l1 = sitofp i64 %l to double
  %m1 = sitofp i64 %m to double
  %n1 = sitofp i64 %n to double
  %o1 = sitofp i64 %o to double
  %b2 = fmul double %b, 2.0
  %c2 = fmul double %c1, 3.0
  %d2 = fmul double %d1, 5.0
  %e2 = fmul double %e1, 7.0
  %f2 = fmul double %f1, 11.0
  %h2 = fmul double %h1, 13.0
  %i2 = fmul double %i1, 17.0
  %j2 = fmul double %j1, 19.0
  %k2 = fmul double %k1, 23.0
  %l2 = fmul double %l1, 29.0
  %m2 = fmul double %m1, 31.0
  %n2 = fmul double %n1, 37.0
  %o2 = fmul double %o1, 41.0
  %sum1 = fadd double %a1, %b2
  %sum2 = fadd double %sum1, %c2
  %sum3 = fadd double %sum2, %d2
  %sum4 = fadd double %sum3, %e2
  %sum5 = fadd double %sum4, %f2
  %sum6 = fadd double %sum5, %h2
  %sum7 = fadd double %sum6, %i2
  %sum8 = fadd double %sum7, %j2
  %sum9 = fadd double %sum8, %k2
  %sum10 = fadd double %sum9, %l2
  %sum11 = fadd double %sum10, %m2
  %sum12 = fadd double %sum11, %n2
  %sum13 = fadd double %sum12, %o2
  %sumAt = getelementptr double, ptr %sum, i64 %g
  store double %sum13, ptr %sumAt
  br label %done
done:
  ret void
}

define void @write_every_kind(ptr %f32, ptr %f64, ptr %i64, ptr %i32, ptr %u8, ptr %flags) #0 {
  %thread = call i32 @doppel.thread()
  %isFirst = icmp eq i32 %thread, 0
  br i1 %isFirst, label %work, label %done
work:
  %block = call i32 @doppel.block()
  %g = zext i32 %block to i64
  %f32At = getelementptr float, ptr %f32, i64 %g
  %f64At = getelementptr double, ptr %f64, i64 %g
  %i64At = getelementptr i64, ptr %i64, i64 %g
  %i32At = getelementptr i32, ptr %i32, i64 %g
  %u8At = getelementptr i8, ptr %u8, i64 %g
  %flagAt = getelementptr i8, ptr %flags, i64 %g
  %single = uitofp i32 %block to float
  %half = fadd float %single, 0.5
  %double = uitofp i32 %block to double
  %quarter = fadd double %double, 0.25
  %large = add i64 %g, 1099511627776
  %level = trunc i32 %block to i8
  %odd = and i8 %level, 1
  store float %half, ptr %f32At
  store double %quarter, ptr %f64At
  store i64 %large, ptr %i64At
  store i32 2139095040, ptr %i32At
  store i8 %level, ptr %u8At
  store i8 %odd, ptr %flagAt
  br label %done
done:
  ret void
}

; Blocks do not wait for each other: a GPU need not have all of them at once.
define void @use_scratch(ptr %workers, ptr %wrong, ptr %arrived, ptr %scratch) #0 {
  %thread = call i32 @doppel.thread()
  %isFirst = icmp eq i32 %thread, 0
  br i1 %isFirst, label %work, label %done
work:
  %block = call i32 @doppel.block()
  %g = zext i32 %block to i64
  %start = mul i64 %g, 4100
  %own = getelementptr i8, ptr %scratch, i64 %start
  %high = shl i32 %block, 16
  br label %write
write:
  %w = phi i64 [ 0, %work ], [ %wNext, %write ]
  %wAt = getelementptr i32, ptr %own, i64 %w
  %wLow = trunc i64 %w to i32
  %wWord = or i32 %high, %wLow
  store volatile i32 %wWord, ptr %wAt
  %wNext = add i64 %w, 1
  %wMore = icmp ult i64 %wNext, 1024
  br i1 %wMore, label %write, label %read
read:
  %r = phi i64 [ 0, %write ], [ %rNext, %read ]
  %count = phi i32 [ 0, %write ], [ %countNext, %read ]
  %rAt = getelementptr i32, ptr %own, i64 %r
  %rLow = trunc i64 %r to i32
  %rWord = or i32 %high, %rLow
  %found = load volatile i32, ptr %rAt
  %differs = icmp ne i32 %found, %rWord
  %one = zext i1 %differs to i32
  %countNext = add i32 %count, %one
  %rNext = add i64 %r, 1
  %rMore = icmp ult i64 %rNext, 1024
  br i1 %rMore, label %read, label %tell
tell:
  %wrongAt = getelementptr i32, ptr %wrong, i64 %g
  store i32 %countNext, ptr %wrongAt
  br label %done
done:
  ret void
}

define void @spoil_scratch(ptr %did, ptr %scratch) #0 {
  %thread = call i32 @doppel.thread()
  %first = zext i32 %thread to i64
  br label %spoil
spoil:
  %i = phi i64 [ %first, %0 ], [ %next, %spoil ]
  %at = getelementptr i64, ptr %scratch, i64 %i
  store i64 -1, ptr %at
  %next = add i64 %i, 32
  %more = icmp ult i64 %next, 131072
  br i1 %more, label %spoil, label %tell
tell:
  %isFirst = icmp eq i32 %thread, 0
  br i1 %isFirst, label %work, label %done
work:
  store i32 1, ptr %did
  br label %done
done:
  ret void
}

attributes #0 = { nounwind "doppel.block"="32" "doppel.shared"="0" }
attributes #1 = { nounwind willreturn memory(none) }
