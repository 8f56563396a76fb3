namespace Shared.Configuration;

/// <summary>
/// Binds nodes to records by the names of their properties in camelCase. Whatever does not fit is an error; all errors are collected, and what they
/// leave unset keeps its default so that later checks can go on.
/// </summary>
internal sealed class ConfigBinder(ICollection<ConfigError> errors, SecretReferences secrets)
{
    /// <summary>The record that a node declares; null where the node is no mapping at all.</summary>
    public T? Bind<T>(ConfigNode node) where T : class => (T?)Bind(typeof(T), node, null);

    private object? Bind(Type type, ConfigNode node, MemberShape? member)
    {
        if (type == typeof(Secret))
        {
            return BindSecret(node);
        }
        if ((Nullable.GetUnderlyingType(type) ?? type) == typeof(RawJson))
        {
            return new RawJson(node.ToJson());
        }
        var shape = TypeShape.Of(type);
        return shape.Scalar is { } scalar ? BindScalar(shape, scalar, node, member)
            : shape.IsList ? BindList(shape, node, member?.OneOrMany ?? false)
            : shape.IsMap ? BindMap(shape, node)
            : BindRecord(shape, node);
    }

    private Secret? BindSecret(ConfigNode node)
    {
        if (node is not ConfigScalar { Style: not ScalarStyle.Null, IsJsonLiteral: false } scalar)
        {
            // What was found is not told: it may be the secret.
            errors.Add(node.Error("expected a text, or a reference such as ${env:NAME} or ${file:/path}"));
            return null;
        }
        if (!secrets.TryResolve(scalar.Text, out var secret, out var error))
        {
            errors.Add(node.Error(error));
        }
        return secret;
    }

    private object? BindScalar(TypeShape shape, ScalarType type, ConfigNode node, MemberShape? member)
    {
        if (member is { AllowsReferences: true } && node is ConfigScalar { Style: not ScalarStyle.Null } written && SecretReferences.Occur(written.Text))
        {
            return BindReferring(type, written);
        }
        if (node is not ConfigScalar { Style: not ScalarStyle.Null } scalar || type.Parse(scalar) is not { } value)
        {
            errors.Add(node.Error($"expected {type.Expected}, found {node.Describe()}"));
            return null;
        }
        if (value is string text && SecretReferences.Occur(text))
        {
            errors.Add(node.Error("a reference cannot be used here; references are resolved in secrets only (keys, headers, arguments, variables)"));
            return null;
        }
        if (member?.Bounds is { } bounds && !Within(type, value, bounds))
        {
            errors.Add(node.Error($"expected {bounds.Least} to {bounds.Greatest}, found {node.Describe()}"));
            return null;
        }
        return value;
    }

    private object? BindReferring(ScalarType type, ConfigScalar written)
    {
        if (!secrets.OnlyVariables().TryResolve(written.Text, out var text, out var error))
        {
            errors.Add(written.Error(error));
            return null;
        }
        var value = type.Parse(new ConfigScalar(written.File, written.Line, written.Column, written.Path, ScalarStyle.Quoted, text.Reveal()));
        // Of a server that is switched off, the variable may be missing.
        if (value is null && !secrets.Lenient)
        {
            errors.Add(written.Error($"expected {type.Expected}; with its references replaced this is none"));
        }
        return value;
    }

    private static bool Within(ScalarType type, object value, BoundsAttribute bounds)
    {
        var comparable = (IComparable)value;
        return comparable.CompareTo(Parse(bounds.Least)) >= 0 && comparable.CompareTo(Parse(bounds.Greatest)) <= 0;

        object? Parse(string text) => type.Parse(new ConfigScalar("", 0, 0, "", ScalarStyle.Plain, text));
    }

    private object? BindList(TypeShape shape, ConfigNode node, bool oneOrMany)
    {
        var items = node switch
        {
            ConfigSequence sequence => sequence.Items,
            _ when oneOrMany => [node],
            _ => null,
        };
        if (items is null)
        {
            errors.Add(node.Error($"expected a list, found {node.Describe()}"));
            return null;
        }
        var list = shape.NewList();
        foreach (var item in items)
        {
            if (Bind(shape.Item!, item, null) is { } value)
            {
                list.Add(value);
            }
        }
        return list;
    }

    private object? BindMap(TypeShape shape, ConfigNode node)
    {
        if (node is not ConfigMapping mapping)
        {
            errors.Add(node.Error($"expected a mapping of names to values, found {node.Describe()}"));
            return null;
        }
        var map = shape.NewMap();
        foreach (var member in mapping.Members)
        {
            if (Bind(shape.Item!, member.Value, null) is { } value)
            {
                map.Add(member.Key, value);
            }
        }
        return map;
    }

    private object? BindRecord(TypeShape shape, ConfigNode node)
    {
        var mapping = node as ConfigMapping ?? (node switch
        {
            ConfigScalar { Style: ScalarStyle.Null } => Wrap(node, []),
            ConfigScalar when shape.Shorthand is not null => Wrap(node, [new ConfigMember(shape.Shorthand, node.Line, node.Column, node)]),
            _ => null,
        });
        if (mapping is null)
        {
            errors.Add(node.Error($"expected a mapping, found {node.Describe()}"));
            return null;
        }
        var record = shape.NewRecord();
        foreach (var member in mapping.Members)
        {
            if (shape.Find(member.Key) is not { } target)
            {
                errors.Add(mapping.KeyError(member, $"unknown key; {Nearest.Hint(member.Key, [.. shape.Members.Select(known => known.Name)])}"));
            }
            else if (member.Value is not ConfigScalar { Style: ScalarStyle.Null } && Bind(target.Type, member.Value, target) is { } value)
            {
                target.Property.SetValue(record, value);
            }
        }
        foreach (var target in shape.Members)
        {
            if (target.Required && mapping.Find(target.Name) is not { Value: not ConfigScalar { Style: ScalarStyle.Null } })
            {
                errors.Add(new ConfigError(mapping.File, mapping.Line, mapping.Column, ConfigNode.Join(mapping.Path, target.Name), "is required and missing"));
            }
        }
        if (record is Declaration declaration)
        {
            declaration.Node = mapping;
        }
        return record;
    }

    private static ConfigMapping Wrap(ConfigNode node, IReadOnlyList<ConfigMember> members) => new(node.File, node.Line, node.Column, node.Path, members);
}
