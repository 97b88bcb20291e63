# Finds MLIR/LLVM 22 and offers:
#   doppel_tablegen(OUT TD FLAGS...)      one generated file beside the build of the current folder
#   doppel_mlir_library(NAME [LIBS...])   like doppel_library, compiled against MLIR with the shared precompiled header
find_package(MLIR 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22/lib/cmake/mlir)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
find_program(DOPPEL_MLIR_TBLGEN mlir-tblgen HINTS ${LLVM_TOOLS_BINARY_DIR} REQUIRED)

# One interface for everything that includes MLIR. LLVM is built without RTTI; so are we.
add_library(DoppelMlir INTERFACE)
target_include_directories(DoppelMlir SYSTEM INTERFACE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
target_include_directories(DoppelMlir INTERFACE ${PROJECT_BINARY_DIR})
target_compile_options(DoppelMlir INTERFACE -fno-rtti)
separate_arguments(doppel_llvm_definitions NATIVE_COMMAND "${LLVM_DEFINITIONS}")
target_compile_definitions(DoppelMlir INTERFACE ${doppel_llvm_definitions})
find_library(DOPPEL_LIBMLIR MLIR HINTS ${LLVM_LIBRARY_DIR} REQUIRED)
find_library(DOPPEL_LIBLLVM LLVM HINTS ${LLVM_LIBRARY_DIR} REQUIRED)
target_link_libraries(DoppelMlir INTERFACE ${DOPPEL_LIBMLIR} ${DOPPEL_LIBLLVM})

# To clang, MLIR's headers beside the C++23 of GCC 12's library are no valid program (std::pair of a type that is not complete yet).
set(doppel_mlir_standard ${CMAKE_CXX_STANDARD})
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  set(doppel_mlir_standard 20)
endif()

# MLIR's headers cost seconds a file; one precompiled header serves every library.
file(WRITE ${PROJECT_BINARY_DIR}/pch.cpp "")
add_library(DoppelMlirPch STATIC ${PROJECT_BINARY_DIR}/pch.cpp)
target_link_libraries(DoppelMlirPch PUBLIC DoppelMlir)
set_target_properties(DoppelMlirPch PROPERTIES CXX_STANDARD ${doppel_mlir_standard})
target_precompile_headers(DoppelMlirPch PRIVATE ${PROJECT_SOURCE_DIR}/cmake/MlirPch.h)

function(doppel_tablegen out td)
  get_filename_component(td_path ${td} ABSOLUTE)
  set(out_path ${CMAKE_CURRENT_BINARY_DIR}/${out})
  file(GLOB dependencies CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.td ${PROJECT_SOURCE_DIR}/dialects/*/*.td)
  add_custom_command(OUTPUT ${out_path}
    COMMAND ${DOPPEL_MLIR_TBLGEN} ${ARGN} ${td_path} -o ${out_path}
            -I ${PROJECT_SOURCE_DIR} -I ${MLIR_INCLUDE_DIRS}
    DEPENDS ${dependencies} COMMENT "TableGen ${out}" VERBATIM)
  set_property(DIRECTORY APPEND PROPERTY DOPPEL_GENERATED ${out_path})
endfunction()

# Names a target that makes everything doppel_tablegen declared in this folder.
function(doppel_tablegen_target name)
  get_property(generated DIRECTORY PROPERTY DOPPEL_GENERATED)
  add_custom_target(${name} DEPENDS ${generated})
endfunction()

function(doppel_mlir_library name)
  doppel_library(${name} DoppelMlir ${ARGN})
  get_target_property(type ${name} TYPE)
  if(type STREQUAL "INTERFACE_LIBRARY")
    return()
  endif()
  set_target_properties(${name} PROPERTIES CXX_STANDARD ${doppel_mlir_standard})
  target_precompile_headers(${name} REUSE_FROM DoppelMlirPch)
  add_dependencies(${name} DoppelTableGen)
endfunction()

function(doppel_mlir_executable name)
  target_link_libraries(${name} PRIVATE DoppelMlir)
  target_compile_options(${name} PRIVATE -fPIC) # as the precompiled header is
  set_target_properties(${name} PROPERTIES CXX_STANDARD ${doppel_mlir_standard})
  target_precompile_headers(${name} REUSE_FROM DoppelMlirPch)
  add_dependencies(${name} DoppelTableGen)
endfunction()

add_custom_target(DoppelTableGen)
