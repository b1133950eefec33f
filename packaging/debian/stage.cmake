# cpack runs this on what is about to be packed. For Debian: a compressed manual page and changelog, the copyright in its place,
# zsh's completion where Debian's zsh looks.
if(NOT CPACK_GENERATOR STREQUAL DEB)
  return()
endif()
set(usr ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr)
set(doc ${usr}/share/doc/pulmo)
file(READ ${doc}/LICENSE licence)
file(REMOVE ${doc}/LICENSE)
string(REGEX REPLACE "^[^\n]*\n+(Copyright[^\n]*)\n+" "" licence "${licence}")
set(copyright "${CMAKE_MATCH_1}")
string(REGEX REPLACE "^Copyright \\(c\\) " "" copyright "${copyright}")
string(REGEX REPLACE "\n\n" "\n.\n" licence "${licence}")
string(REGEX REPLACE "\n" "\n " licence "${licence}")
string(STRIP "${licence}" licence)
file(WRITE ${doc}/copyright "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: pulmo

Files: *
Copyright: ${copyright}
License: BSD-3-clause
 ${licence}
")
file(READ ${doc}/CITATION.cff citation)
string(REGEX MATCH "date-released: \"([0-9]+)-([0-9]+)-([0-9]+)\"" found "${citation}")
execute_process(COMMAND date -u -R -d ${CMAKE_MATCH_1}-${CMAKE_MATCH_2}-${CMAKE_MATCH_3} OUTPUT_VARIABLE date OUTPUT_STRIP_TRAILING_WHITESPACE)
file(WRITE ${doc}/changelog.Debian "pulmo (${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium

  * Release ${CPACK_PACKAGE_VERSION}: CHANGELOG.md says what is new.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
execute_process(COMMAND gzip -9nf ${usr}/share/man/man1/pulmo.1 ${doc}/changelog.Debian RESULT_VARIABLE bad)
if(bad)
  message(FATAL_ERROR "gzip failed")
endif()
file(RENAME ${usr}/share/zsh/site-functions ${usr}/share/zsh/vendor-completions)
