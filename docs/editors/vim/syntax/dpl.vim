" Highlighting of Doppel's specs (.dpl). The language: docs/language.md.
"
" Reserved words are keywords everywhere. All others mean something at their place alone: they are
" matches there, or keywords contained in one. A later match wins over an earlier one.
if exists("b:current_syntax")
  finish
endif
let s:cpo = &cpo
set cpo&vim

syn keyword dplConditional if else
syn keyword dplRepeat for in
syn keyword dplStatement return
syn keyword dplInclude use
syn keyword dplLet let
syn keyword dplLogical and or not
syn keyword dplBoolean true false
syn keyword dplDefine fn nextgroup=dplFunctionName skipwhite
syn keyword dplDefine net nextgroup=dplNetName skipwhite
syn match dplFunctionName /\h\w*/ contained
syn match dplNetName /\h\w*/ contained
syn match dplMethodName /\h\w*/ contained
syn match dplDeclared /\h\w*/ contained

" The values that every spec or body sees.
syn keyword dplValue contained image pi step epoch steps_per_epoch total_steps
syn keyword dplValue contained training stochastic batch_norm_groups
syn match dplName /\%([^.]\.\)\@2<!\<\h\w*\>\%(\s*[(:=]\|\s*\.\h\)\@!/ contains=dplValue

" What the compiler provides, where it is called or stands behind an arrow.
syn keyword dplBuiltin contained exp log sqrt rsqrt tanh sigmoid erf abs sin cos floor relu ceil
syn keyword dplBuiltin contained round int float maximum minimum pow where len div str require
syn keyword dplBuiltin contained sum mean max min variance concat stack transpose reshape
syn keyword dplBuiltin contained broadcast conv2d max_pool avg_pool gather scatter tensor iota
syn keyword dplBuiltin contained one_hot zeros ones full
syn keyword dplBuiltin contained stop_gradient batch_norm_train split_batch_norm
syn keyword dplBuiltin contained shuffle_batch_norm deterministic ema enqueue all_ranks
syn keyword dplBuiltin contained sample_index sgd lars adamw
syn keyword dplBuiltin contained random_resized_crop center_crop horizontal_flip color_jitter
syn keyword dplBuiltin contained grayscale gaussian_blur solarize rotation standardize
syn keyword dplBuiltin contained random normal uniform integers permutation
syn match dplCallee /\%([^.]\.\)\@2<!\<\h\w*\ze\s*(/ contains=dplBuiltin
syn match dplCallee /\<random\s*\.\s*\h\w*\ze\s*(/ contains=dplBuiltin

syn match dplType /\%(:\|->\)\s*\[*\s*\zs\%(int\|float\|bool\|string\|optimizer\)\>\%(\s*[(.]\)\@!/
syn match dplType /\%(:\|->\)\s*\zsimage\>\ze\s*[,)={]/
syn match dplType /\<\%(f32\|i32\|bool\)\ze\[/
syn match dplLabel /\<\h\w*\ze\s*:/

" Items: at the begin of a line, or in braces on one line.
syn match dplItem /\%(^\|[{};]\)\s*\zs\<\%(param\|view\|state\)\>\ze\s\+\h/ nextgroup=dplDeclared skipwhite
syn match dplItem /\%(^\|[{};]\)\s*\zs\<\%(metric\|parameter\|buffer\)\>\ze\s\+\h/ nextgroup=dplDeclared skipwhite
syn match dplItem /\%(^\|[{};]\)\s*\zs\<\%(update\|optimize\|allow\)\>\ze\s\+\h/
syn match dplItem /\%(^\|[{};]\)\s*\zs\<\%(loss\|represent\)\>\%(\s*[=.,:)\]]\)\@!/
syn match dplDefine /\%(^\|[{};]\)\s*\zs\<method\>\ze\s\+\h/ nextgroup=dplMethodName skipwhite
syn match dplDefine /\%(^\|[{};]\)\s*\zs\<augment\>\ze\s\+\h\w*\s*(/ nextgroup=dplFunctionName skipwhite
syn match dplDefine /\%(^\|[{};]\)\s*\zs\<forward\>\ze\s*(/

" Clauses of items.
syn match dplClause /\s\zs\%(with\|when\|matching\|except\)\ze\%(\s\|$\)\%(\s*[=.,:)]\)\@!/
syn match dplClause /\s\zswhere\ze\s/
syn match dplMoment /\s\zsbefore\s\+forward\>/
syn match dplMoment /\s\zsafter\s\+\%(loss\|step\)\>/
syn match dplInclude /\%("\s\+\)\@<=as\ze\s\+\h/
syn match dplModule /\%(\<use\s\+\)\@16<=std\ze\s*\./

syn match dplOperator /|>\|>>\|->\|\.\.\.\|\.\.\|==\|!=\|<=\|>=\|\*\*\|[-+*%@<>=]\|\/\/\@!/
syn match dplPiped /\%(|>\|>>\)\s*\h\w*\>\%(\s*[.:]\)\@!/ contains=dplOperator,dplBuiltin
syn match dplNumber /\<\d[0-9_]*\%(\.\d[0-9_]*\)\?\%([eE][-+]\?\d[0-9_]*\)\?\>/

syn region dplString start=/"/ end=/"/ oneline contains=dplEscape,dplBadEscape
syn match dplBadEscape /\\./ contained
syn match dplEscape /\\[nt\\"]/ contained

syn match dplComment "//.*$" contains=@Spell
syn match dplDocComment "^\s*\zs///\%(/\)\@!.*$" contains=dplCode,@Spell
syn match dplCode /`[^`]*`/ contained

hi def link dplConditional Conditional
hi def link dplRepeat Repeat
hi def link dplStatement Statement
hi def link dplInclude Include
hi def link dplLet Keyword
hi def link dplLogical Operator
hi def link dplBoolean Boolean
hi def link dplDefine Keyword
hi def link dplFunctionName Function
hi def link dplNetName Type
hi def link dplMethodName Structure
hi def link dplDeclared Identifier
hi def link dplValue Constant
hi def link dplBuiltin Function
hi def link dplType Type
hi def link dplLabel Label
hi def link dplItem Statement
hi def link dplClause Statement
hi def link dplMoment Statement
hi def link dplModule Include
hi def link dplOperator Operator
hi def link dplNumber Number
hi def link dplString String
hi def link dplEscape SpecialChar
hi def link dplBadEscape Error
hi def link dplComment Comment
hi def link dplDocComment SpecialComment
hi def link dplCode Special

let b:current_syntax = "dpl"
let &cpo = s:cpo
unlet s:cpo
