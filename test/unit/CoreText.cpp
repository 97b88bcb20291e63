// Names as text for JSON and for a terminal: what is no UTF-8 is told, and nothing else changes.

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

TEST(CoreText, TellsUtf8) {
  for (const char *good : {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x99\x82"})
    EXPECT_TRUE(isUtf8(good)) << good;
  for (const char *bad : {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xe0\x80\x80",
                          "\xf4\x90\x80\x80", "\xf0\x80\x80\x80", "a\x80", "\xe2\x82"})
    EXPECT_FALSE(isUtf8(bad));
}

TEST(CoreText, ATerminalObeysNothingPrintable) {
  EXPECT_EQ(printable("h\xc3\xa9llo"), "h\xc3\xa9llo");
  EXPECT_EQ(printable("a\x1b[2Jb\r\n\t\x7f"), "a?[2Jb????");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "?31m")
      << "a control character of Latin-1";
  EXPECT_EQ(printable("x\xff\xc3"), "x??");
  EXPECT_EQ(printable("a\xe2\x80\xae"
                      "b"),
            "a?b")
      << "right to left";
}

} // namespace
