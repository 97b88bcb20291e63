// The enums of the ssl dialect. In a file of their own, since mlir-tblgen writes out every enum that it meets.
#ifndef DOPPEL_SSL_ENUMS
#define DOPPEL_SSL_ENUMS

include "mlir/IR/EnumAttr.td"

class Ssl_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::doppel::ssl";
  let genSpecializedAttr = 0;
}

def Ssl_When : Ssl_Enum<"When", "the moment of an update in a step", [
  I32EnumAttrCase<"BeforeForward", 1, "before_forward">, I32EnumAttrCase<"AfterLoss", 2, "after_loss">,
  I32EnumAttrCase<"AfterStep", 3, "after_step">]>;

#endif
