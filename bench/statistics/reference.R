# What pROC, glm and lowess say of the sets SET.txt of a folder, as "NAME VALUE" in SET.R.
suppressMessages(library(pROC))
folder <- commandArgs(TRUE)[1]

say <- function(out, name, value) cat(name, sprintf("%.17g", value), "\n", file = out)

areas <- function(out, d) {
  a <- roc(d$y, d$a, levels = c(0, 1), direction = "<", quiet = TRUE)
  b <- roc(d$y, d$b, levels = c(0, 1), direction = "<", quiet = TRUE)
  say(out, "auc", as.numeric(a$auc))
  if (sum(d$y) < 2 || sum(1 - d$y) < 2) return(invisible())
  say(out, "auc.variance", var(a, method = "delong"))
  test <- roc.test(a, b, paired = TRUE, method = "delong")
  say(out, "auc.difference.p", test$p.value)
  say(out, "auc.difference", as.numeric(b$auc) - as.numeric(a$auc))
  se <- sqrt(var(a) + var(b) - 2 * cov(a, b))
  say(out, "auc.difference.error", se)
}

lines <- function(out, d) {
  x <- qlogis(d$a)
  control <- glm.control(epsilon = 1e-14, maxit = 100)
  large <- suppressWarnings(glm(y ~ offset(x), binomial, d, control = control))
  # glm's weights are those before its last step: once more from where that led.
  large <- glm(y ~ offset(x), binomial, d, control = control, start = coef(large))
  say(out, "in_the_large", coef(large)[1])
  ci <- suppressMessages(confint.default(large))
  say(out, "in_the_large.low", ci[1]); say(out, "in_the_large.high", ci[2])
  with <- x[d$y == 1]; rest <- x[d$y == 0]
  if (min(with) >= max(rest) || max(with) <= min(rest)) return(invisible())
  both <- glm(y ~ x, binomial, d, control = control)
  both <- glm(y ~ x, binomial, d, control = control, start = coef(both))
  ci <- confint.default(both)
  say(out, "intercept", coef(both)[1]); say(out, "slope", coef(both)[2])
  say(out, "intercept.low", ci[1, 1]); say(out, "slope.low", ci[2, 1])
  say(out, "intercept.high", ci[1, 2]); say(out, "slope.high", ci[2, 2])
}

smoothed <- function(out, d) {
  curve <- lowess(d$a, d$y, iter = 0)
  say(out, "ici", mean(abs(curve$y - curve$x)))
  for (i in seq_along(curve$y)) say(out, paste0("smooth.", i - 1), curve$y[i])
}

for (path in list.files(folder, pattern = "[.]txt$", full.names = TRUE)) {
  d <- read.table(path, col.names = c("y", "patient", "a", "b"))
  out <- file(sub("[.]txt$", ".R", path), "w")
  if (length(unique(d$y)) == 2) {
    areas(out, d)
    lines(out, d)
  }
  smoothed(out, d)
  close(out)
}
