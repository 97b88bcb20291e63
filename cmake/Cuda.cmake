# Finds the headers that the CUDA device is built with: the toolkit's where there is one, else what cmake/cuda_headers.py fetched from PyPI;
# cudnn-frontend's always from there. Sets DOPPEL_CUDA_INCLUDE. Nothing of CUDA is linked.
set(doppel_fetched ${PROJECT_SOURCE_DIR}/build/cuda/include)
find_path(DOPPEL_CUDA_TOOLKIT_INCLUDE cublasLt.h PATHS $ENV{CUDA_HOME}/include /usr/local/cuda/include NO_DEFAULT_PATH)
set(doppel_cuda_folders ${doppel_fetched})
if(DOPPEL_CUDA_TOOLKIT_INCLUDE AND EXISTS ${DOPPEL_CUDA_TOOLKIT_INCLUDE}/cuda.h AND EXISTS ${DOPPEL_CUDA_TOOLKIT_INCLUDE}/cudnn.h)
  set(doppel_cuda_folders ${DOPPEL_CUDA_TOOLKIT_INCLUDE} ${doppel_fetched})
endif()
foreach(header cuda.h cublasLt.h cudnn.h cudnn_frontend.h)
  find_file(found ${header} PATHS ${doppel_cuda_folders} NO_DEFAULT_PATH NO_CACHE)
  if(NOT found)
    message(FATAL_ERROR "The CUDA device is part of every build, and ${header} is not here (looked in ${doppel_cuda_folders}). "
                        "`./do build` fetches what is missing; by hand: python3 cmake/cuda_headers.py build/cuda")
  endif()
  unset(found)
endforeach()
set(DOPPEL_CUDA_INCLUDE ${doppel_cuda_folders})
