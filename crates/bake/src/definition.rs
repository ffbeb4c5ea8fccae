//! A definition: the variables, functions, groups and targets of all files, with expressions that are not evaluated yet.

use std::collections::BTreeMap;
use std::ops::Range;

use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block as HclBlock, Body, Structure};

use crate::error::{BakeError, Result};

/// An expression, and the file that has it.
#[derive(Debug, Clone)]
pub(crate) struct Attribute {
    pub(crate) file: usize,
    pub(crate) expression: Expression,
}

/// The attributes of a block.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block {
    pub(crate) file: usize,
    pub(crate) label: String,
    pub(crate) span: Option<Range<usize>>,
    pub(crate) attributes: BTreeMap<String, Attribute>,
    /// The blocks `validation` of a variable.
    pub(crate) inner: Vec<Block>,
}

/// All files together.
#[derive(Debug, Default)]
pub(crate) struct Definition {
    pub(crate) variables: BTreeMap<String, Block>,
    pub(crate) functions: BTreeMap<String, Block>,
    /// Attributes outside of blocks. Each is a variable that nothing overrides.
    pub(crate) attributes: BTreeMap<String, Attribute>,
    pub(crate) groups: Vec<Block>,
    pub(crate) targets: Vec<Block>,
}

impl Definition {
    /// Adds an HCL file.
    pub(crate) fn add_hcl(&mut self, file: usize, name: &str, text: &str) -> Result<()> {
        let body: Body = text.parse().map_err(|error: hcl_edit::parser::Error| {
            let line = error.location().line();
            BakeError::in_line(name, line, error.message())
        })?;
        for structure in body {
            match structure {
                Structure::Attribute(attribute) => {
                    let name = attribute.key.as_str().to_owned();
                    let expression = attribute.value;
                    self.attributes.insert(name, Attribute { file, expression });
                }
                Structure::Block(block) => {
                    let kind = block.ident.as_str().to_owned();
                    let span = block.span();
                    let block = read_block(file, block)?;
                    self.add_block(&kind, block)
                        .map_err(|error| error.at(file, span))?;
                }
            }
        }
        Ok(())
    }

    /// Adds a block. A later variable or function takes the place of an earlier one.
    pub(crate) fn add_block(&mut self, kind: &str, block: Block) -> Result<()> {
        match kind {
            "variable" => drop(self.variables.insert(block.label.clone(), block)),
            "function" => drop(self.functions.insert(block.label.clone(), block)),
            "group" => self.groups.push(block),
            "target" => self.targets.push(block),
            _ => {
                return Err(BakeError::new(format!(
                    "unexpected block {kind}; expected variable, function, group or target"
                )));
            }
        }
        Ok(())
    }
}

fn read_block(file: usize, block: HclBlock) -> Result<Block> {
    let span = block.span();
    let [label] = block.labels.as_slice() else {
        let message = format!(
            "expected one label, as in {} \"name\"",
            block.ident.as_str()
        );
        return Err(BakeError::new(message).at(file, span));
    };
    let label = label.as_str().to_owned();
    read_body(file, label, span, block.body)
}

fn read_body(file: usize, label: String, span: Option<Range<usize>>, body: Body) -> Result<Block> {
    let mut read = Block {
        file,
        label,
        span,
        ..Block::default()
    };
    for structure in body {
        match structure {
            Structure::Attribute(attribute) => {
                let name = attribute.key.as_str().to_owned();
                let expression = attribute.value;
                let attribute = Attribute { file, expression };
                read.attributes.insert(name, attribute);
            }
            Structure::Block(block) if block.ident.as_str() == "validation" => {
                let span = block.span();
                read.inner
                    .push(read_body(file, String::new(), span, block.body)?);
            }
            Structure::Block(block) => {
                let message = format!(
                    "a block {} is not allowed here; write {} = {{…}}",
                    block.ident.as_str(),
                    block.ident.as_str()
                );
                return Err(BakeError::new(message).at(file, block.span()));
            }
        }
    }
    Ok(read)
}

/// Returns the name that an expression is, as in the list of a function's parameters.
pub(crate) fn keyword(expression: &Expression) -> Result<String> {
    match expression {
        Expression::Variable(name) => Ok(name.as_str().to_owned()),
        Expression::String(name) => Ok(name.value().clone()),
        _ => Err(BakeError::new("a parameter is a name")),
    }
}
