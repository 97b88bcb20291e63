// Names as text for JSON: what is no UTF-8 is told, and nothing else changes.

#include "runtime/core/Text.h"
#include <gtest/gtest.h>

using namespace doppel::runtime;

namespace {

TEST(CoreText, WhatIsNoUtf8IsEscapedAndTheRestStays) {
  EXPECT_EQ(escapedUtf8("plain \u00e9\u20ac\U0001f600"), "plain \u00e9\u20ac\U0001f600");
  EXPECT_EQ(escapedUtf8("fotos_\xe9t\xe9"), "fotos_\\xe9t\\xe9");
  EXPECT_EQ(escapedUtf8("a\\xe9\n\x7f"), "a\\\\xe9\\x0a\\x7f");
  EXPECT_EQ(escapedUtf8("\xc3"), "\\xc3") << "cut short";
  EXPECT_EQ(escapedUtf8("\xc0\xaf"), "\\xc0\\xaf") << "overlong";
  EXPECT_EQ(escapedUtf8("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");
  EXPECT_EQ(escapedUtf8("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(escapedUtf8("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond Unicode";
  EXPECT_EQ(escapedUtf8("\xff\u00e9"), "\\xff\u00e9");
}

} // namespace
