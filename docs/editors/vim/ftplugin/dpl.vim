" Two spaces a level, a hundred columns, comments with //.
if exists("b:did_ftplugin")
  finish
endif
let b:did_ftplugin = 1
setlocal expandtab shiftwidth=2 softtabstop=2 textwidth=100
setlocal comments=:///,:// commentstring=//\ %s
let b:undo_ftplugin = "setlocal expandtab< shiftwidth< softtabstop< textwidth< comments< commentstring<"
