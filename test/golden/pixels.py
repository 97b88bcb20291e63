# The stages of augmentation beside Pillow and torchvision (P24).
#
#   pixels.py make          draws the pictures of pixels/ and writes pixels.safetensors: needs python3-torch and python3-torchvision
#   pixels.py check RUN     holds a run of pixels.dpl to it: needs NumPy alone
#
# Pillow rounds to whole levels of 255 after each stage, we do not: a stage agrees to one level, on average to half a level. Some
# pixels are up to ten apart: Pillow's hue is a level of 256, one of which moves a channel by up to six; and its bicubic overshoots are cut
# between the pass over rows and the one over columns.
import os
import sys

import numpy as np

import safetensors
import stamp

HERE = os.path.dirname(os.path.abspath(__file__))
FILE = os.path.join(HERE, "pixels.safetensors")
FIXED = ["center", "center_odd", "smaller", "smaller_bicubic", "larger", "larger_bicubic", "narrow", "wide", "flip", "gray", "solarize", "blur"]
FACTORS = ["brightness", "contrast", "saturation"]  # between what a factor of 0 and one of 1 give, and on
HUES = range(-26, 27)  # levels of 255 turns


def picture(width, height, seed):
    """Soft waves with edges, noise and all hues: u8 [height, width, 3]."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / 44.0
    waves = [np.sin(random.uniform(3, 14) * x + random.uniform(3, 14) * y + random.uniform(0, 6)) for _ in range(3)]
    image = 0.5 + 0.35 * np.stack(waves, axis=-1)
    image[height // 3 : height // 2, width // 4 : width // 2] = random.uniform(0, 1, 3)
    image += 0.05 * random.standard_normal(image.shape)
    return np.uint8(np.clip(image, 0, 1) * 255 + 0.5)


def make():
    import torch
    from PIL import Image
    from torchvision.transforms import functional as F
    from torchvision.transforms import InterpolationMode, RandomResizedCrop

    tensors = {}

    def keep(name, sample, image):
        tensors[f"{name}/{sample}"] = np.asarray(image)

    for sample, (width, height) in enumerate([(60, 44), (44, 44)]):
        image = Image.fromarray(picture(width, height, sample))
        folder = os.path.join(HERE, "pixels", "ab"[sample])
        os.makedirs(folder, exist_ok=True)
        image.save(os.path.join(folder, "0.png"))
        keep("center", sample, F.center_crop(F.resize(image, 32), 24))
        keep("center_odd", sample, F.center_crop(F.resize(image, 33), 24))  # of 9 and 21 pixels a half, which Python rounds to even
        # Nothing random: of the square picture the whole, else a box that never fits, so the middle as large as the ratio allows.
        for name, size, ratio in (("smaller", 20, 1.0), ("larger", 60, 1.0), ("narrow", 24, 0.6), ("wide", 24, 1.8)):
            for suffix, mode in (("", InterpolationMode.BILINEAR), ("_bicubic", InterpolationMode.BICUBIC)):
                if name + suffix not in FIXED:
                    continue
                keep(name + suffix, sample, RandomResizedCrop(size, (1.0, 1.0), (ratio, ratio), mode)(image))
        cut = F.center_crop(image, 24)
        keep("flip", sample, F.hflip(cut))
        keep("gray", sample, F.rgb_to_grayscale(cut, 3))
        keep("solarize", sample, F.solarize(cut, 128))
        keep("blur", sample, F.gaussian_blur(cut, 9, 1.3))
        for name, adjust in (("brightness", F.adjust_brightness), ("contrast", F.adjust_contrast), ("saturation", F.adjust_saturation)):
            keep(f"{name}/0", sample, adjust(cut, 0.0))
            keep(f"{name}/1", sample, cut)
        for level in HUES:
            keep(f"hue/{level}", sample, F.adjust_hue(cut, level / 255))
    safetensors.save(FILE, tensors, {"torch": torch.__version__, "sources": stamp.of(__file__)})


def apart(view, golden):
    """(greatest, mean) distance in levels of 255."""
    distance = np.abs(view * 255.0 - golden)
    return distance.max(), distance.mean()


def nearest(name, sample, view, golden):
    """The distance to what the stage makes of the picture with the factor that explains `view` best."""
    if name in FIXED:
        return apart(view, golden[f"{name}/{sample}"].astype(float))
    if name == "hue":
        return min((apart(view, golden[f"hue/{level}/{sample}"].astype(float)) for level in HUES), key=lambda pair: pair[1])
    if name == "offset":
        cut = golden[f"brightness/1/{sample}"].astype(float)
        return min((apart(view, np.clip(cut + 255 * offset, 0, 255)) for offset in np.linspace(-0.4, 0.4, 801)), key=lambda pair: pair[1])
    none, one = (golden[f"{name}/{end}/{sample}"].astype(float) for end in (0, 1))
    blends = (np.clip(none + factor * (one - none), 0, 255) for factor in np.linspace(0.6, 1.4, 801))
    return min((apart(view, blend) for blend in blends), key=lambda pair: pair[1])


def check(run):
    golden, _ = safetensors.load(FILE)
    [folder] = [name for name in os.listdir(os.path.join(run, "checkpoints")) if name.startswith("step-")]
    states, _ = safetensors.load(os.path.join(run, "checkpoints", folder, "states.safetensors"))
    good = True
    for name in FIXED + FACTORS + ["hue", "offset"]:
        pairs = [nearest(name, int(sample), view, golden) for sample, view in zip(states["sample"], states["seen_" + name])
                 if name not in FIXED or f"{name}/{int(sample)}" in golden]
        greatest, mean = (max(numbers) for numbers in zip(*pairs))
        fits = greatest <= (10 if name == "hue" or "bicubic" in name else 1) and mean <= 0.6
        good &= fits
        print(f"{name:16} greatest {greatest:5.2f}  mean {mean:5.2f} levels{'' if fits else '  TOO FAR'}")
    if not good:
        sys.exit(1)
    print(f"{len(FIXED + FACTORS) + 2} stages agree with Pillow and torchvision")


if __name__ == "__main__":
    make() if sys.argv[1:] == ["make"] else check(sys.argv[2])
