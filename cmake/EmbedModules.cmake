# Writes OUT: one line `{"name", R"dpl(text)dpl"},` for each file of MODULES, for the table of library modules.
set(text "")
foreach(module ${MODULES})
  get_filename_component(name ${module} NAME_WE)
  file(READ ${module} body)
  string(APPEND text "{\"${name}\", R\"dpl(${body})dpl\"},\n")
endforeach()
file(WRITE ${OUT} "${text}")
